"""What senders are answered: each outcome, with nothing lost and never a 500."""

import gzip
import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from typing_extensions import override

from connectors.sources.alertmanager import AlertmanagerConfig, AlertmanagerSource
from engine.core.json_value import Json
from engine.errors import FullError, PermanentError, TransientError
from engine.gateway.app import build_gateway
from engine.gateway.keeping import MAX_ALERTS, PARSE_INLINE_OBJECTS
from engine.gateway.parts import GatewayParts, Limits
from engine.ports.source import NOBODY, PARSE_INLINE_BYTES, Parsed, Sender
from tests.doubles.fixed_clock import NOW
from tests.doubles.gateway import MemoryIntake, gateway_parts

HOOK = "/v1/alerts/alertmanager"
API = "/api/v2/alerts"
MIB = 1024 * 1024


def alert(name: str = "Down", **changes: Any) -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": {"alertname": name},
        "annotations": {},
        "startsAt": "2026-03-01T11:58:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        **changes,
    }


def body(*alerts: Any, **changes: Any) -> bytes:
    return json.dumps({"version": "4", "alerts": alerts, **changes}).encode()


async def post(
    parts: GatewayParts,
    content: bytes,
    path: str = HOOK,
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
) -> httpx.Response:
    transport = httpx.ASGITransport(build_gateway(parts))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8484") as http:
        return await http.request(method, path, content=content, headers=headers)


def kept(parts: GatewayParts) -> MemoryIntake:
    assert isinstance(parts.intake, MemoryIntake)
    return parts.intake


def sample(parts: GatewayParts, name: str, **labels: str) -> float | None:
    return parts.metrics.registry.get_sample_value(name, labels)


async def test_alerts_are_kept_and_counted() -> None:
    parts = gateway_parts()
    response = await post(parts, body(alert("A"), alert("B", status="resolved"), truncatedAlerts=3))
    assert (response.status_code, response.json()) == (200, {"accepted": 2, "rejected": []})
    intake = kept(parts)
    assert [alert.name for alert in intake.alerts] == ["A", "B"]
    assert (intake.truncated, intake.letters) == (3, [])
    assert {alert.received_at for alert in intake.alerts} == {NOW}
    assert sample(parts, "quell_alerts_received_total", source="alertmanager", status="firing") == 1
    assert sample(parts, "quell_alerts_truncated_total", source="alertmanager") == 3
    assert sample(parts, "quell_intake_requests_total", source="alertmanager", code="200") == 1
    assert sample(parts, "quell_intake_request_seconds_count", source="alertmanager") == 1


async def test_prometheus_s_own_form_is_taken_at_alertmanager_s_address() -> None:
    parts = gateway_parts()
    response = await post(
        parts, json.dumps([alert("A", endsAt="2026-03-01T13:00:00Z")]).encode(), API
    )
    assert response.status_code == 200
    assert kept(parts).alerts[0].expires_at is not None


@pytest.mark.parametrize(("path", "content"), [(HOOK, body()), (API, b"[]")])
async def test_a_body_without_alerts_is_a_body_that_was_received(path: str, content: bytes) -> None:
    parts = gateway_parts()
    assert (await post(parts, content, path)).status_code == 200
    assert kept(parts).accepts == 1


async def test_good_alerts_are_kept_beside_bad_ones_which_are_dead_lettered() -> None:
    parts = gateway_parts()
    bad = alert("B", labels={"severity": 1})
    response = await post(parts, body(alert("A"), bad, alert("C")))
    assert response.status_code == 200
    assert response.json() == {
        "accepted": 2,
        "rejected": [
            {
                "index": 1,
                "field": "alerts[1].labels.severity",
                "problem": "expected a string, got the number 1",
                "dead_letter": "letter-0",
            }
        ],
    }
    intake = kept(parts)
    assert [alert.name for alert in intake.alerts] == ["A", "C"]
    assert json.loads(intake.letters[0].raw) == bad
    assert sample(parts, "quell_dead_letters_total", source="alertmanager") == 1


async def test_none_good_is_422_with_the_same_list() -> None:
    parts = gateway_parts()
    response = await post(parts, body(alert(startsAt=7), 8))
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["detail"].startswith("alerts[0].startsAt: expected a string")
    assert [part["dead_letter"] for part in problem["rejected"]] == ["letter-0", "letter-1"]
    assert kept(parts).accepts == 0


WHOLE = [
    pytest.param(b"not json", 400, "", id="not JSON"),
    pytest.param(b"", 400, "", id="empty"),
    pytest.param(b"\xff\xfe", 400, "", id="not UTF-8"),
    pytest.param(b'{"alerts": [NaN]}', 400, "", id="NaN"),
    pytest.param(b'{"alerts": [], "alerts": []}', 400, "", id="a key twice"),
    pytest.param(b"[" * 200_000, 400, "", id="200,000 levels"),
    pytest.param(b"[" + b"9" * 5000 + b"]", 400, "", id="5,000 digits"),
    pytest.param(b'"text"', 422, "", id="another shape"),
    pytest.param(b'{"alerts": 3}', 422, "alerts", id="a wrong field of the whole"),
]


@pytest.mark.parametrize(("content", "status", "field"), WHOLE)
async def test_a_body_that_can_t_be_understood_is_kept_whole_before_the_answer(
    content: bytes, status: int, field: str
) -> None:
    parts = gateway_parts()
    response = await post(parts, content)
    assert response.status_code == status
    [part] = response.json()["rejected"]
    assert (part["index"], part["field"], part["dead_letter"]) == (None, field, "letter-0")
    assert [letter.raw for letter in kept(parts).letters] == [content]


FAULTS = [
    pytest.param(TransientError("Kafka is down"), "5", id="temporary"),
    pytest.param(TransientError("Kafka is down", retry_after_s=30), "30", id="with a time"),
    pytest.param(PermanentError("the topic is gone"), "5", id="said to be permanent"),
    pytest.param(RuntimeError("a bug"), "5", id="unforeseen"),
]


@pytest.mark.parametrize(("fault", "retry_after"), FAULTS)
@pytest.mark.parametrize("where", ["alerts", "dead letters"])
async def test_whatever_keeps_alerts_from_being_durable_is_503(
    where: str, fault: Exception, retry_after: str
) -> None:
    intake = MemoryIntake(fault=fault) if where == "alerts" else MemoryIntake(letter_fault=fault)
    parts = replace(gateway_parts(), intake=intake)
    response = await post(parts, body(alert("A"), 7))
    assert (response.status_code, response.headers["retry-after"]) == (503, retry_after)
    assert str(fault) not in response.text
    assert (
        sample(parts, "quell_alerts_received_total", source="alertmanager", status="firing") is None
    )


async def test_where_something_is_full_the_sender_comes_back_and_is_told_what_it_is() -> None:
    fault = FullError("dead letters are full: see `quell dead-letters list`", retry_after_s=60)
    parts = replace(gateway_parts(), intake=MemoryIntake(letter_fault=fault))
    response = await post(parts, body(7))
    assert (response.status_code, response.headers["retry-after"]) == (503, "60")
    assert response.json()["detail"] == str(fault)
    assert sample(parts, "quell_intake_full_total", source="alertmanager") == 1


async def test_good_alerts_reach_the_stream_while_dead_letters_can_t_be_kept() -> None:
    parts = replace(gateway_parts(), intake=MemoryIntake(letter_fault=TransientError("no store")))
    assert (await post(parts, body(alert("A"), 7))).status_code == 503
    assert [alert.name for alert in kept(parts).alerts] == ["A"]


class GapInSource(AlertmanagerSource):
    @override
    def parse(self, body: Json, received_at: datetime, sender: Sender = NOBODY) -> Parsed:
        raise KeyError("unforeseen")


async def test_a_sender_that_repeats_for_days_is_answered_200_for_what_is_kept() -> None:
    class Acknowledging(AlertmanagerSource):
        acknowledges_dead_letters = True

    parts = gateway_parts(Acknowledging(AlertmanagerConfig()))
    for content in (b"{", b"[1]", body(alert(labels=1))):
        answer = await post(parts, content)
        [rejected] = answer.json()["rejected"]
        assert (answer.status_code, answer.json()["accepted"]) == (200, 0)
        assert rejected["dead_letter"]
    assert len(kept(parts).letters) == 3
    kept(parts).letter_fault = TransientError("no store")
    assert (await post(parts, b"{")).status_code == 503


async def test_a_body_that_finds_a_gap_in_a_source_is_kept() -> None:
    parts = gateway_parts(GapInSource(AlertmanagerConfig()))
    response = await post(parts, body(alert()))
    assert response.status_code == 422
    assert "unforeseen" not in response.text
    assert kept(parts).letters[0].raw == body(alert())


async def test_an_unknown_source_is_404_and_another_method_405() -> None:
    parts = gateway_parts()
    assert (await post(parts, body(alert()), "/v1/alerts/nagios")).status_code == 404
    response = await post(parts, b"", method="GET")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def guarded(name: str, token: str) -> AlertmanagerSource:
    return AlertmanagerSource(AlertmanagerConfig(name=name, bearer=(SecretStr(token),)))


FORWARDED = {"x-forwarded-for": "203.0.113.9"}


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic !"}]
)
async def test_wrong_credentials_are_401_without_a_word_why_and_nothing_is_kept(
    headers: dict[str, str],
) -> None:
    parts = gateway_parts(guarded("am", "s3cret"))
    response = await post(parts, body(alert()), headers=headers | FORWARDED)
    assert response.status_code == 401
    assert response.json()["detail"] == "These credentials give no access here."
    assert (kept(parts).alerts, kept(parts).letters) == ([], [])


async def test_where_a_kind_has_several_sources_the_credential_chooses() -> None:
    parts = gateway_parts(guarded("am-fra", "one"), guarded("am-ber", "two"))
    for headers in ({}, FORWARDED):
        await post(parts, body(alert()), headers=headers | {"authorization": "Bearer two"})
        assert kept(parts).alerts[-1].source == "am-ber"
    named = await post(
        parts,
        body(alert()),
        "/v1/alerts/am-fra",
        headers=FORWARDED | {"authorization": "Bearer two"},
    )
    assert named.status_code == 401


async def test_gzip_is_taken_within_the_same_limit() -> None:
    parts = gateway_parts(AlertmanagerSource(AlertmanagerConfig(max_body_mib=1)))
    headers = {"content-encoding": "gzip"}
    content = body(*(alert(str(n)) for n in range(100)))
    assert (await post(parts, gzip.compress(content), headers=headers)).json()["accepted"] == 100
    bomb = gzip.compress(b" " * (100 * MIB))
    assert len(bomb) < MIB
    assert (await post(parts, bomb, headers=headers)).status_code == 413
    assert (await post(parts, content, headers=headers)).status_code == 400
    assert [letter.raw for letter in kept(parts).letters] == [content]


@pytest.mark.parametrize("encoding", ["", "identity", "Identity", "x-gzip", "GZIP"])
async def test_encodings_have_several_names(encoding: str) -> None:
    content = body(alert())
    sent = gzip.compress(content) if "gzip" in encoding.lower() else content
    response = await post(gateway_parts(), sent, headers={"content-encoding": encoding})
    assert response.json() == {"accepted": 1, "rejected": []}


async def test_another_encoding_is_kept_and_415() -> None:
    parts = gateway_parts()
    response = await post(parts, b"x", headers={"content-encoding": "br"})
    assert response.status_code == 415
    assert response.json()["rejected"][0]["dead_letter"] == "letter-0"
    [letter] = kept(parts).letters
    assert (letter.raw, "'br' is not understood" in letter.problem) == (b"x", True)


@pytest.mark.parametrize("over", [0, 1])
async def test_the_source_s_own_limit_counts(over: int) -> None:
    parts = gateway_parts(AlertmanagerSource(AlertmanagerConfig(max_body_mib=1)))
    content = body(alert())
    content += b" " * (MIB - len(content) + over)
    response = await post(parts, content)
    assert response.status_code == (413 if over else 200)
    assert kept(parts).letters == []


async def test_bodies_past_the_budget_are_asked_to_come_back() -> None:
    parts = replace(gateway_parts(), limits=Limits(in_flight_bytes=10, retry_after_s=2))
    response = await post(parts, body(alert()))
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")


class WatchedSource(AlertmanagerSource):
    """Remembers which threads parsed."""

    def __init__(self) -> None:
        super().__init__(AlertmanagerConfig())
        self.threads: list[int] = []

    @override
    def parse(self, body: Json, received_at: datetime, sender: Sender = NOBODY) -> Parsed:
        self.threads.append(threading.get_ident())
        return super().parse(body, received_at, sender)


async def test_large_bodies_are_parsed_off_the_event_loop() -> None:
    source = WatchedSource()
    parts, here = gateway_parts(source), threading.get_ident()
    small, large = body(alert()), body(alert(annotations={"a": "x" * PARSE_INLINE_BYTES}))
    assert (await post(parts, small)).status_code == 200
    assert (await post(parts, large)).status_code == 200
    many = body(*[{"status": "firing", "labels": {"a": "b"}}] * PARSE_INLINE_OBJECTS)
    assert len(many) < PARSE_INLINE_BYTES
    assert (await post(parts, many)).status_code == 200
    zipped = gzip.compress(small)
    assert (await post(parts, zipped, headers={"content-encoding": "gzip"})).status_code == 200
    assert [thread == here for thread in source.threads] == [True, False, False, False]


@pytest.mark.parametrize("shape", ["list", "object"])
async def test_more_alerts_than_a_body_may_hold_are_refused_and_kept_nowhere(shape: str) -> None:
    parts = gateway_parts()
    alerts = [{"labels": {"a": "b"}}] * (MAX_ALERTS + 1)
    content = json.dumps(alerts if shape == "list" else {"alerts": alerts}).encode()
    response = await post(parts, content)
    assert response.status_code == 413
    assert f"{MAX_ALERTS + 1} alerts, at most {MAX_ALERTS}" in response.json()["detail"]
    assert (kept(parts).alerts, kept(parts).letters) == ([], [])


async def test_ten_thousand_alerts_in_one_body() -> None:
    parts = gateway_parts()
    alerts = [alert(str(n), annotations={"summary": "x" * 350}) for n in range(10_000)]
    content = body(*alerts, alert(labels=0))
    assert len(content) > 4_900_000
    response = await post(parts, content)
    assert response.json()["accepted"] == 10_000
    assert response.json()["rejected"][0]["index"] == 10_000


pieces = st.sampled_from(
    [
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"alerts"',
        b'"labels"',
        b'"a"',
        b"1",
        b"NaN",
        b"\xff",
        b"\0",
    ]
)
shaped = st.builds(
    lambda alerts: json.dumps({"alerts": alerts}).encode(),
    st.lists(
        st.dictionaries(st.sampled_from(["labels", "status", "startsAt"]), st.text() | st.none())
    ),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(st.binary() | st.lists(pieces).map(b"".join) | shaped, st.sampled_from([HOOK, API]))
async def test_no_body_is_lost_or_answered_with_500(content: bytes, path: str) -> None:
    parts = gateway_parts()
    response = await post(parts, content, path)
    assert response.status_code in (200, 400, 422)
    answer = response.json()
    letters = [part["dead_letter"] for part in answer["rejected"]]
    assert letters == [f"letter-{place}" for place in range(len(kept(parts).letters))]
    if response.status_code == 200:
        assert answer["accepted"] == len(kept(parts).alerts)
    else:
        assert letters
