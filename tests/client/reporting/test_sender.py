"""The sender against a server that is away, busy, silent or refuses: the newest state arrives."""

import logging
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from typing_extensions import override

from engine.client.reporting.judging import Notice
from engine.client.reporting.sender import DEFAULT_PATH, Endpoint, Sender, _retry_after_s
from engine.errors import ConfigError
from tests.doubles.notice_receiver import Answer, NoticeReceiver
from tests.services.process import free_port, wait_until

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
NOTICE = Notice(
    status="firing",
    name="ModelCallsFailing",
    labels={"model": "gpt-4o"},
    annotations={},
    severity_hint="error",
    at=AT,
    starts_at=AT,
)
EVERY_S = 0.01


class Notices:
    """What the sender collects: all that a test has put since the last time."""

    def __init__(self) -> None:
        self._put: list[Notice] = []
        self.collected = 0

    def put(self, *notices: Notice) -> None:
        self._put.extend(notices)

    def collect(self) -> Sequence[Notice]:
        taken, self._put = self._put, []
        self.collected += 1
        return taken


@pytest.fixture
def receiver() -> Iterator[NoticeReceiver]:
    with NoticeReceiver().running() as running:
        yield running


@contextmanager
def sender(
    url: str, notices: Notices, *, token: str = "", worth_s: float = 60.0
) -> Iterator[Sender]:
    sending = Sender(
        Endpoint(url, token=token),
        "/apps/test",
        notices.collect,
        every_s=EVERY_S,
        worth_s=worth_s,
    )
    sending.start()
    try:
        yield sending
    finally:
        sending.close(5.0)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def test_a_notice_arrives_with_the_token_at_the_sources_address(receiver: NoticeReceiver) -> None:
    notices = Notices()
    notices.put(NOTICE)
    with sender(f"{receiver.url}/v1/alerts/apps-fra", notices, token="s3cr3t"):
        assert receiver.next_event()["source"] == "/apps/test"
        request = receiver.next_request()
    assert request.path == "/v1/alerts/apps-fra"
    assert request.headers["authorization"] == "Bearer s3cr3t"
    assert request.content_type == "application/cloudevents+json"


def test_an_address_without_a_path_is_the_source_cloudevents(receiver: NoticeReceiver) -> None:
    notices = Notices()
    notices.put(NOTICE)
    with sender(f"{receiver.url}/", notices):
        request = receiver.next_request()
    assert request.path == DEFAULT_PATH
    assert "authorization" not in request.headers


def test_several_go_in_one_request(receiver: NoticeReceiver) -> None:
    notices = Notices()
    notices.put(NOTICE, replace(NOTICE, name="ModelCallsSlow"))
    with sender(receiver.url, notices):
        names = {receiver.next_event()["data"]["name"] for _ in range(2)}
        assert receiver.next_request().content_type == "application/cloudevents-batch+json"
    assert names == {"ModelCallsFailing", "ModelCallsSlow"}
    assert receiver.requests.empty()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_temporary_fault_is_tried_again(receiver: NoticeReceiver, status: int) -> None:
    receiver.script = [Answer(status, {"retry-after": "0.05"})]
    notices = Notices()
    notices.put(NOTICE)
    with sender(receiver.url, notices):
        assert receiver.next_event()["data"]["name"] == "ModelCallsFailing"
    assert receiver.requests.qsize() == 2


def test_it_comes_again_no_earlier_than_it_is_asked_to(receiver: NoticeReceiver) -> None:
    receiver.script = [Answer(503, {"retry-after": "1"})]
    notices = Notices()
    notices.put(NOTICE)
    with sender(receiver.url, notices):
        receiver.next_request()
        refused_s = time.monotonic()
        receiver.next_request()
        assert time.monotonic() - refused_s >= 1.0


def test_what_is_newer_takes_the_place_of_what_waits(receiver: NoticeReceiver) -> None:
    receiver.script = [Answer(503, {"retry-after": "0.5"})]
    notices = Notices()
    notices.put(NOTICE)
    with sender(receiver.url, notices):
        receiver.next_request()
        for seconds in range(50):
            notices.put(replace(NOTICE, at=AT + timedelta(seconds=seconds)))
        notices.put(replace(NOTICE, status="resolved", at=AT + timedelta(minutes=1)))
        assert receiver.next_event()["data"]["status"] == "resolved"
    assert receiver.events.empty()


def test_what_is_no_longer_worth_it_is_dropped(receiver: NoticeReceiver) -> None:
    receiver.script = [Answer(503, {"retry-after": "0.3"})]
    notices = Notices()
    notices.put(NOTICE)
    with sender(receiver.url, notices, worth_s=0.1):
        receiver.next_request()
        wait_until(lambda: notices.collected > 60, "sixty rounds")
        notices.put(replace(NOTICE, name="Another"))
        assert receiver.next_event()["data"]["name"] == "Another"
    assert receiver.events.empty()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415, 422])
def test_a_refusal_stands_and_is_told_once(
    receiver: NoticeReceiver, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.script = [Answer(status), Answer(status), Answer(status)]
    notices = Notices()
    with sender(receiver.url, notices, token="s3cr3t"):
        for _ in range(3):
            notices.put(NOTICE)
            receiver.next_request()
        wait_until(lambda: notices.collected > 10, "ten rounds")
        assert receiver.requests.empty()
        notices.put(NOTICE)
        receiver.next_event()
    (warning,) = warnings(caplog)
    assert f"it answers {status}" in warning
    assert "s3cr3t" not in caplog.text


def test_a_server_that_is_away_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices()
    port = free_port()
    sending = Sender(
        Endpoint(f"http://127.0.0.1:{port}"), "/a", notices.collect, every_s=EVERY_S, worth_s=60.0
    )
    for _ in range(5):
        notices.put(NOTICE)
        sending._not_before_s = 0.0
        sending._round()
    (warning,) = warnings(caplog)
    assert f"127.0.0.1:{port}: ConnectionRefusedError" in warning


def test_it_is_told_when_notices_arrive_again(
    receiver: NoticeReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "quell.reporting")
    receiver.script = [Answer(503, {"retry-after": "0.01"})] * 3
    notices = Notices()
    notices.put(NOTICE)
    with sender(receiver.url, notices):
        receiver.next_event()
    told = [each.getMessage() for each in caplog.records if each.name == "quell.reporting"]
    assert told == [
        "quell isn't told how model calls do: it answers 503 Service Unavailable",
        "quell is told again how model calls do",
    ]


def test_refused_notices_among_accepted_ones_are_told(
    receiver: NoticeReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    rejected = [{"index": 0, "field": "data.labels", "problem": "too many", "dead_letter": "x"}]
    receiver.script = [Answer(200, body={"rejected": rejected})]
    notices = Notices()
    notices.put(NOTICE)
    with sender(receiver.url, notices):
        receiver.next_event()
        wait_until(lambda: bool(warnings(caplog)), "a warning")
    assert "it refuses data.labels: too many" in warnings(caplog)[0]


@pytest.mark.parametrize("body", [{}, [], "signed in", {"rejected": 1}])
def test_what_answers_and_is_not_quell_is_told(
    receiver: NoticeReceiver, caplog: pytest.LogCaptureFixture, body: object
) -> None:
    receiver.script = [Answer(200, body=body)]
    notices = Notices()
    notices.put(NOTICE)
    with sender(receiver.url, notices):
        wait_until(lambda: bool(warnings(caplog)), "a warning")
    assert "what answers there isn't quell" in warnings(caplog)[0]


def test_a_fault_of_ours_ends_nothing(
    receiver: NoticeReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    class Faulty(Notices):
        @override
        def collect(self) -> Sequence[Notice]:
            self.collected += 1
            if self.collected == 1:
                raise ZeroDivisionError("once")
            return [NOTICE]

    with sender(receiver.url, Faulty()):
        receiver.next_event()
    assert "a fault in the reporter: ZeroDivisionError: once" in warnings(caplog)[0]


def test_closing_sends_what_waits_in_spite_of_a_pause(receiver: NoticeReceiver) -> None:
    receiver.script = [Answer(503, {"retry-after": "300"})]
    notices = Notices()
    notices.put(NOTICE)
    with sender(receiver.url, notices):
        receiver.next_request()
    assert receiver.next_event()["data"]["name"] == "ModelCallsFailing"


def test_closing_does_not_wait_for_a_server_that_is_silent() -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    notices = Notices()
    notices.put(NOTICE)
    with sender(f"http://127.0.0.1:{silent.getsockname()[1]}", notices) as sending, silent:
        connection, _ = silent.accept()
        with connection:
            began_s = time.monotonic()
            sending.close(0.2)
            assert time.monotonic() - began_s < 2.0


def test_a_closed_sender_does_not_begin_again(receiver: NoticeReceiver) -> None:
    notices = Notices()
    with sender(receiver.url, notices) as sending:
        sending.close(5.0)
        before = threading.active_count()
        sending.start()
        assert threading.active_count() == before


def test_without_a_thread_the_application_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    sending = Sender(Endpoint("http://q"), "/a", list, every_s=1.0, worth_s=1.0)
    sending.start()
    sending.start()
    sending.close(1.0)
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(
    "url",
    (
        *("", "quell.example", "ftp://quell.example", "http://", "http://u:p@quell.example/"),
        *("http://quell.example/?token=x", "http://quell.example:99999"),
        *("http://quell.example/a b", "http://käse.example/", "http://quell.example/\n"),
    ),
)
def test_what_is_no_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Endpoint(url, token="s3cr3t")
    assert "u:p" not in str(raised.value)


@pytest.mark.parametrize("token", ["s3cr3t\n", "s3 cr3t", "s3cr3t\u2026", "s3cr3t\x00"])
def test_a_token_that_no_header_takes_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(ConfigError, match="the token has") as raised:
        Endpoint("http://q", token=token)
    assert "cr3t" not in str(raised.value)


def test_an_endpoint_does_not_show_its_token() -> None:
    assert "s3cr3t" not in repr(Endpoint("http://q", token="s3cr3t"))


def test_authorities_that_are_not_there_are_named_at_once() -> None:
    endpoint = Endpoint("https://quell.example", ca="gone.pem")
    with pytest.raises(ConfigError, match=r"gone\.pem"):
        Sender(endpoint, "/a", list, every_s=1.0, worth_s=1.0)


@pytest.mark.parametrize(
    ("value", "least_s", "most_s"),
    [
        ("7", 7, 7),
        ("100000", 300, 300),
        ("-5", 0, 0),
        ("nan", 300, 300),
        ("", 0, 0),
        ("soon", 0, 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 300, 300),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0, 0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(
    value: str, least_s: float, most_s: float
) -> None:
    assert least_s <= _retry_after_s(value) <= most_s
