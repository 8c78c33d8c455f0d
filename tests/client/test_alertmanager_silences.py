"""A real Alertmanager's silences, and answers that are none."""

import subprocess
from datetime import timedelta

import httpx
import pytest

from engine.client.alertmanager_silences import origin_of, read_silences
from engine.errors import PayloadError, TransientError
from tests.services.alertmanager import StartAlertmanager
from tests.services.process import program


def test_what_amtool_set_in_a_real_alertmanager_is_read(
    start_alertmanager: StartAlertmanager,
) -> None:
    there = start_alertmanager("http://127.0.0.1:9/")
    amtool = [program("amtool"), f"--alertmanager.url={there.url}", "silence"]

    def set_one(*matchers: str) -> str:
        words = ["add", "--author=me", "--comment=a drill", "--duration=2h", *matchers]
        done = subprocess.run(
            [*amtool, *words], check=True, capture_output=True, text=True, timeout=30
        )
        return done.stdout.strip()

    kept = set_one("alertname=Down", "service=~llm-.+", 'zone!="a b"', "rack!~x|y")
    ended = set_one("alertname=Other")
    subprocess.run([*amtool, "expire", ended], check=True, timeout=30)
    (order,) = read_silences(there.url)
    assert sorted(order.matchers) == [
        'alertname="Down"',
        'rack!~"x|y"',
        'service=~"llm-.+"',
        'zone!="a b"',
    ]
    assert order.origin == f"{there.url}/api/v2/silence/{kept}"
    assert order.comment == "me: a drill"
    assert order.starts_at is not None
    assert order.ends_at - order.starts_at > timedelta(hours=1, minutes=59)


def test_no_credential_of_the_address_is_kept() -> None:
    assert origin_of("http://me:secret@am:9093/x/?a=b") == "http://am:9093/x/api/v2/silence/"


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (httpx.Response(401), TransientError, "answers 401"),
        (httpx.Response(200, json={"a": 1}), PayloadError, "isn't an Alertmanager's silences"),
        (httpx.Response(200, text="<html>"), PayloadError, "isn't an Alertmanager's silences"),
        (httpx.ConnectError("refused"), TransientError, "ConnectError"),
    ],
)
def test_an_answer_that_is_none_is_told(
    answer: httpx.Response | Exception, error: type[Exception], message: str
) -> None:
    def respond(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(error, match=message):
        read_silences("http://am:9093", httpx.MockTransport(respond))
