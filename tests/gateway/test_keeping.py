"""What is kept of bodies that were sent, fetched, or have something left to do."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import httpx
import pytest
from msgspec import structs
from pydantic import SecretStr
from typing_extensions import override

from connectors.sources.alertmanager import AlertmanagerConfig, AlertmanagerSource
from engine.core.alert import Alert
from engine.core.json_value import Json
from engine.errors import NotFoundError, PayloadError, PermanentError, TransientError
from engine.gateway.app import build_gateway
from engine.gateway.keeping import MAX_ALERTS, Keeper, finish_again, parse_again
from engine.gateway.parts import GatewayParts
from engine.ports.source import BY_BODY, NOBODY, Admission, Parsed, Sender, denied
from tests.doubles.fixed_clock import NOW
from tests.doubles.gateway import MemoryIntake, gateway_parts

MIB = 1024 * 1024
BODY = json.dumps({"alerts": [{"status": "firing", "labels": {"alertname": "Down"}}]}).encode()


def guarded(name: str, token: str) -> AlertmanagerSource:
    return AlertmanagerSource(AlertmanagerConfig(name=name, bearer=(SecretStr(token),)))


def kept(parts: GatewayParts) -> MemoryIntake:
    assert isinstance(parts.intake, MemoryIntake)
    return parts.intake


def keeper_of(parts: GatewayParts) -> Keeper:
    return Keeper(parts.intake, parts.clock, parts.metrics)


def requests(parts: GatewayParts, code: int) -> float | None:
    labels = {"source": "alertmanager", "code": str(code)}
    return parts.metrics.registry.get_sample_value("quell_intake_requests_total", labels)


async def post(parts: GatewayParts, content: bytes) -> httpx.Response:
    transport = httpx.ASGITransport(build_gateway(parts))
    async with httpx.AsyncClient(transport=transport, base_url="http://quell.example") as http:
        return await http.post("/v1/alerts/alertmanager", content=content)


async def test_what_a_source_fetched_is_kept_and_counted_like_what_is_sent() -> None:
    parts = gateway_parts()
    (source,) = parts.sources["alertmanager"]
    keeper = keeper_of(parts)
    await keeper.take(source, BODY)
    await keeper.keep(source, source.parse(json.loads(BODY), NOW).alerts)
    await keeper.take(source, b"{")
    await keeper.take(source, json.dumps([{}] * (MAX_ALERTS + 1)).encode())
    assert [alert.name for alert in kept(parts).alerts] == ["Down", "Down"]
    assert [letter.problem.partition(";")[0] for letter in kept(parts).letters] == [
        "not JSON: Expecting property name enclosed in double quotes at character 1",
        f"the body has {MAX_ALERTS + 1} alerts, at most {MAX_ALERTS}",
    ]
    assert [requests(parts, code) for code in (200, 400, 413)] == [1, 1, 1]


async def test_what_cannot_be_kept_now_stays_with_the_source() -> None:
    parts = gateway_parts()
    kept(parts).fault = TransientError("no broker")
    (source,) = parts.sources["alertmanager"]
    with pytest.raises(TransientError, match="no broker"):
        await keeper_of(parts).take(source, BODY)
    assert requests(parts, 503) == 1


@dataclass
class SignedSource(AlertmanagerSource):
    """Lets in by the body alone, which it has to finish; `outcome` is what comes of that."""

    outcome: Sequence[Alert] | Exception = ()

    def __post_init__(self) -> None:
        super().__init__(AlertmanagerConfig())

    @override
    async def admit(self, sender: Sender, now: datetime) -> Admission:
        return BY_BODY

    @override
    async def admit_body(self, sender: Sender, body: bytes, now: datetime) -> Admission:
        if b"forged" in body:
            return denied("a wrong signature")
        if b"unclear" in body:
            raise TransientError("no certificate")
        return Admission("admitted")

    @override
    def parse(self, body: Json, received_at: datetime, sender: Sender = NOBODY) -> Parsed:
        return replace(super().parse(body, received_at, sender), unfinished="the rest")

    @override
    async def finish(self, parsed: Parsed, received_at: datetime) -> Sequence[Alert]:
        assert parsed.unfinished == "the rest"
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


async def test_a_signature_in_the_body_lets_in_or_not() -> None:
    parts = gateway_parts(SignedSource(), loopback=False)
    assert (await post(parts, BODY)).status_code == 200
    forged = await post(parts, BODY.replace(b"Down", b"forged"))
    assert (forged.status_code, "signature" in forged.text) == (401, False)
    unclear = await post(parts, BODY.replace(b"Down", b"unclear"))
    assert (unclear.status_code, "retry-after" in unclear.headers) == (503, True)
    assert (await post(parts, b" " * 33 * MIB)).status_code == 413
    assert [alert.name for alert in kept(parts).alerts] == ["Down"]


async def test_what_a_body_left_to_do_is_done_before_the_answer() -> None:
    (more,) = guarded("alertmanager", "a").parse(json.loads(BODY), NOW).alerts
    parts = gateway_parts(SignedSource([structs.replace(more, name="More")]), loopback=False)
    assert (await post(parts, BODY)).json() == {"accepted": 1, "rejected": []}
    assert [alert.name for alert in kept(parts).alerts] == ["Down", "More"]


@pytest.mark.parametrize(
    ("outcome", "status", "letters"),
    [(TransientError("no answer"), 503, []), (PermanentError("not allowed"), 422, ["not allowed"])],
    ids=["later", "never"],
)
async def test_what_cannot_be_done_is_told(
    outcome: Exception, status: int, letters: list[str]
) -> None:
    parts = gateway_parts(SignedSource(outcome), loopback=False)
    assert (await post(parts, BODY)).status_code == status
    assert [letter.problem for letter in kept(parts).letters] == letters
    assert [alert.name for alert in kept(parts).alerts] == ["Down"]


def test_a_kept_body_is_parsed_again_as_it_was_sent_by_the_source_of_that_name() -> None:
    sources = {
        "alertmanager": (guarded("one", "a"), guarded("two", "b")),
        "two": (guarded("two", "b"),),
    }
    for content in (BODY, gzip.compress(BODY)):
        (found,) = parse_again(sources, "two", content, NOW).alerts
        assert (found.source, found.received_at) == ("two", NOW)
    (wrong,) = parse_again(sources, "two", b"{", NOW).rejected
    assert wrong.index == -1
    with pytest.raises(NotFoundError, match="no source 'alertmanager' any more"):
        parse_again(sources, "alertmanager", BODY, NOW)
    bomb = gzip.compress(bytes(40 * MIB))
    with pytest.raises(PayloadError, match="larger than"):
        parse_again(sources, "two", bomb, NOW)


async def test_what_a_kept_body_left_to_do_is_done_by_the_source_of_that_name() -> None:
    (more,) = guarded("alertmanager", "a").parse(json.loads(BODY), NOW).alerts
    parts = gateway_parts(SignedSource([more]), loopback=False)
    left = parse_again(parts.sources, "alertmanager", BODY, NOW)
    assert await finish_again(parts.sources, parts.clock, "alertmanager", left) == [more]
    nothing = Parsed(left.alerts)
    assert await finish_again(parts.sources, parts.clock, "alertmanager", nothing) == ()
    with pytest.raises(NotFoundError, match="no source 'gone' any more"):
        await finish_again(parts.sources, parts.clock, "gone", left)


class DiscreetSource(SignedSource):
    """Keeps nothing of what it can't understand."""

    @override
    def keepable(self, body: bytes) -> bytes:
        return b"%d bytes" % len(body)


async def test_a_source_says_what_of_a_body_may_be_kept() -> None:
    never = DiscreetSource(PermanentError("not allowed"))
    parts = gateway_parts(never, loopback=False)
    for content in (BODY, b"{", b"[1]", json.dumps({"alerts": [{}]}).encode()):
        await post(parts, content)
    await keeper_of(parts).take(never, json.dumps([{}] * (MAX_ALERTS + 1)).encode())
    assert len(kept(parts).letters) == 7
    assert all(letter.raw.endswith(b" bytes") for letter in kept(parts).letters)
