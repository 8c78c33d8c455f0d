"""What fires, asked of a real Alertmanager and a real Prometheus; and of what answers wrongly."""

import http.server
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs
from pydantic import SecretStr, ValidationError
from typing_extensions import override

from connectors.sources.alertmanager import (
    AlertmanagerConfig,
    AlertmanagerSource,
    FiringApiConfig,
)
from engine.core.alert import Alert
from engine.core.still_firing import Confirmation
from engine.errors import TransientError
from engine.ports.credentials import BasicCredentials
from tests.services.alertmanager import StartAlertmanager
from tests.services.process import free_port, program, run, wait_until
from tests.services.prometheus import StartPrometheus
from tests.store.values import an_occurrence

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LABELS = {
    "alertname": "LLMEndpointDown",
    "service": 'llm "70b" \\ größe',
    "instance": "gpu-07:9100",
    "odd": "a\nb",
}
RULES = """
groups:
  - name: test
    rules:
      - alert: LLMEndpointDown
        expr: vector(1)
        labels: {instance: 'gpu-07:9100'}
      - alert: Pending
        expr: vector(1)
        for: 1h
"""


async def still_firing(api: FiringApiConfig, labels: Mapping[str, str]) -> Confirmation:
    source = AlertmanagerSource(AlertmanagerConfig(api=api))
    occurrence = an_occurrence("f", labels=labels)
    return await source.still_firing(occurrence, NOW)


def alertmanager(*urls: str) -> FiringApiConfig:
    return FiringApiConfig(urls=urls)


def prometheus(url: str) -> FiringApiConfig:
    return FiringApiConfig(urls=(url,), speaks="prometheus")


async def test_an_alertmanager_says_what_fires_and_what_has_ended(
    start_alertmanager: StartAlertmanager,
) -> None:
    server = start_alertmanager("http://127.0.0.1:9/")
    api = alertmanager(server.url)
    plain = {name: value for name, value in LABELS.items() if name != "odd"}
    amtool = [program("amtool"), f"--alertmanager.url={server.url}"]
    added = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in plain.items()]
    assert (await still_firing(api, plain)).answer == "resolved"
    run([*amtool, "alert", "add", *added])
    found = await still_firing(api, plain)
    assert (found.answer, found.basis, found.detail) == ("firing", "source", f"asked {server.url}")
    other = {**plain, "instance": "gpu-08:9100"}
    assert (await still_firing(api, other)).answer == "resolved", "another host's alert"
    less = {"alertname": "LLMEndpointDown"}
    assert (await still_firing(api, less)).answer == "resolved", "an alert with fewer labels"
    run([*amtool, "silence", "add", "--comment=c", "alertname=LLMEndpointDown"])
    assert (await still_firing(api, plain)).answer == "firing", "silenced, and yet it fires"
    run([*amtool, "alert", "add", *added, "--end=2026-01-01T00:00:00Z"])
    assert (await still_firing(api, plain)).answer == "resolved"


async def test_a_prometheus_says_what_fires(start_prometheus: StartPrometheus) -> None:
    server = start_prometheus([], rules=RULES)
    api = prometheus(server.url)
    wait_until(lambda: bool(server.query("ALERTS{alertstate='firing'}")), "it fires")
    labels = {"alertname": "LLMEndpointDown", "instance": "gpu-07:9100"}
    with_external = {**labels, "cluster": "fra"}
    assert (await still_firing(api, labels)).answer == "firing"
    assert (await still_firing(api, with_external)).answer == "firing", "it adds external labels"
    relabelled = {**labels, "instance": "gpu-08:9100"}
    assert (await still_firing(api, relabelled)).answer == "cannot_tell"
    assert (await still_firing(api, {"alertname": "Pending"})).answer == "resolved"
    assert (await still_firing(api, {"alertname": "Unknown"})).answer == "resolved"


async def test_of_a_pair_one_that_says_so_is_enough_and_one_that_is_silent_is_no_no(
    start_alertmanager: StartAlertmanager,
) -> None:
    one, other = (start_alertmanager("http://127.0.0.1:9/") for _ in range(2))
    gone = f"http://127.0.0.1:{free_port()}"
    labels = {"alertname": "A"}
    assert (await still_firing(alertmanager(one.url, other.url), labels)).answer == "resolved"
    silent = await still_firing(alertmanager(one.url, gone), labels)
    assert (silent.answer, silent.detail.partition(": ")[0]) == ("cannot_tell", gone)
    run([program("amtool"), f"--alertmanager.url={other.url}", "alert", "add", "alertname=A"])
    assert (await still_firing(alertmanager(one.url, other.url), labels)).answer == "firing"
    assert (await still_firing(alertmanager(gone, other.url), labels)).answer == "firing"


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers every request alike, and remembers who asked."""

    status, body = 200, b"[]"
    authorization: list[str]

    def do_GET(self) -> None:
        self.authorization.append(self.headers.get("authorization", ""))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    @override
    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def answering(status: int, body: bytes) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    handler = type("H", (Answers,), {"status": status, "body": body, "authorization": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "detail"),
    [
        (500, b"[]", "answered with status 500"),
        (302, b"[]", "answered with status 302"),
        (200, b"<html>", "isn't alertmanager's"),
        (200, b'{"data": 1}', "isn't alertmanager's"),
        (200, b"{}", "isn't alertmanager's"),
        (200, b"null", "isn't alertmanager's"),
        (200, b'""', "isn't alertmanager's"),
        (200, b'[{"labels": 1}]', "isn't alertmanager's"),
        (200, b"[" * 100_000, "isn't alertmanager's"),
        (200, b"[" + b" " * (16 << 20) + b"]", "more than 16777216 bytes"),
    ],
)
async def test_a_wrong_answer_is_no_answer(status: int, body: bytes, detail: str) -> None:
    with answering(status, body) as (url, _):
        found = await still_firing(alertmanager(url), {"alertname": "A"})
    assert found.answer == "cannot_tell"
    assert detail in found.detail


@pytest.mark.parametrize(
    ("credentials", "sent"),
    [
        ({"bearer": SecretStr("t0ken")}, "Bearer t0ken"),
        (
            {"basic": BasicCredentials(user="am", password=SecretStr("s3cret"))},
            "Basic YW06czNjcmV0",
        ),
    ],
    ids=["bearer", "basic"],
)
async def test_it_is_asked_with_credentials_which_no_answer_shows(
    credentials: dict[str, object], sent: str
) -> None:
    with answering(403, b"") as (url, asked):
        api = FiringApiConfig.model_validate({"urls": [url], **credentials})
        found = await still_firing(api, {"alertname": "A"})
    assert asked == [sent]
    assert "t0ken" not in found.detail
    assert "s3cret" not in found.detail


async def test_without_an_address_the_last_notice_counts() -> None:
    source = AlertmanagerSource(AlertmanagerConfig(last_notice_counts_s=60))
    occurrence = structs.replace(an_occurrence("f"), last_notice_at=NOW)
    fresh = await source.still_firing(occurrence, NOW + timedelta(seconds=60))
    assert (fresh.answer, fresh.basis) == ("firing", "last notice")
    late = await source.still_firing(occurrence, NOW + timedelta(seconds=61))
    assert late.answer == "cannot_tell"


def left_out(**changes: object) -> dict[str, object]:
    """A notice that leaves one out."""
    alert = {"status": "firing", "labels": {"alertname": "A", "gpu": "0"}}
    group = {"receiver": "quell (fra)", "groupLabels": {"alertname": "A"}}
    return {**group, "truncatedAlerts": 1, "alerts": [alert], **changes}


async def fetched(source: AlertmanagerSource, body: object) -> Sequence[Alert]:
    return await source.finish(source.parse(json.loads(json.dumps(body)), NOW), NOW)


GETTABLE = [
    {
        "labels": {"alertname": "A", "gpu": gpu},
        "annotations": {"summary": "s"},
        "startsAt": "2026-03-01T11:00:00.000Z",
        "endsAt": "2026-03-01T12:05:00.000Z",
        "updatedAt": "2026-03-01T12:00:00.000Z",
        "fingerprint": "x",
        "receivers": [{"name": "quell (fra)"}],
        "status": {"state": "active", "silencedBy": [], "inhibitedBy": []},
    }
    for gpu in ("0", "1")
]


async def test_of_what_fires_only_what_the_notice_left_out_is_added_once() -> None:
    wrong = [*GETTABLE, {"labels": 1}, "text"]
    with (
        answering(200, json.dumps(GETTABLE).encode()) as (one, _),
        answering(200, json.dumps(wrong).encode()) as (other, asked),
    ):
        gone = f"http://127.0.0.1:{free_port()}"
        source = AlertmanagerSource(AlertmanagerConfig(api=alertmanager(one, gone, other)))
        (alert,) = await fetched(source, left_out())
        assert (alert.labels["gpu"], alert.status, alert.expires_at) == ("1", "firing", None)
        assert (alert.received_at, alert.annotations["summary"]) == (NOW, "s")
        assert len(asked) == 1
        # What is nobody's fault but the sender's is no reason to fail.
        for odd in ({"receiver": 7}, {"groupLabels": [1]}, {"groupLabels": {"a": 1}}):
            assert len(await fetched(source, left_out(**odd))) == 1


@pytest.mark.parametrize("body", [b"{}", b"<html>", b"[" * 100_000], ids=["object", "page", "deep"])
async def test_what_cannot_be_fetched_is_asked_for_again(body: bytes) -> None:
    with answering(200, body) as (url, _):
        source = AlertmanagerSource(AlertmanagerConfig(api=alertmanager(url)))
        with pytest.raises(TransientError, match="isn't alertmanager's"):
            await fetched(source, left_out())


async def test_nothing_is_fetched_where_nothing_is_left_out_or_nobody_can_be_asked() -> None:
    """A Prometheus groups nothing, so it can't say what a group has."""
    gone = f"http://127.0.0.1:{free_port()}"
    for api, body in (
        (alertmanager(gone), left_out(truncatedAlerts=0)),
        (prometheus(gone), left_out()),
        (None, left_out()),
    ):
        assert await fetched(AlertmanagerSource(AlertmanagerConfig(api=api)), body) == ()


def test_an_address_without_a_scheme_is_refused_with_what_to_write() -> None:
    with pytest.raises(ValidationError, match="holds no user and no password") as told:
        FiringApiConfig(urls=("http://quell:s3cret@am:9093",))
    assert "s3cret" not in str(told.value)
    with pytest.raises(ValidationError, match="'am:9093' is no address; write http://HOST:PORT"):
        FiringApiConfig(urls=("am:9093",))
