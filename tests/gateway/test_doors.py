"""Who sent, by a token or a certificate; how much; and that nobody is told why not."""

import io
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from typing_extensions import override

from connectors.sources.alertmanager import AlertmanagerConfig, AlertmanagerSource
from engine.gateway.access import CERTIFICATE_NAMES, TrustedProxy
from engine.gateway.app import build_gateway
from engine.gateway.parts import GatewayParts, Limits
from engine.logs import configure_logs
from engine.ports.source import BY_BODY, Admission, Sender, denied
from tests.doubles.gateway import MemoryIntake, gateway_parts
from tests.doubles.production_server import connected, serving, whole
from tests.doubles.virtual_time import VirtualClock

HOOK = "/v1/alerts/alertmanager"
BODY = b'{"alerts": [{"status": "firing", "labels": {"alertname": "A"}}]}'
NAMED = {
    "bearer": ["own"],
    "senders": {"fra": {"bearer": ["fra"]}, "muc": {"certificates": ["am.muc.example"]}},
}
OWN, FRA = ({"authorization": f"Bearer {token}"} for token in ("own", "fra"))
PROXY = TrustedProxy("x-client-cert", (ip_network("10.0.0.0/8"),))


def source_of(settings: Mapping[str, Any]) -> AlertmanagerSource:
    return AlertmanagerSource(AlertmanagerConfig.model_validate(settings))


def named_parts(**changes: Any) -> GatewayParts:
    return replace(gateway_parts(source_of(NAMED), loopback=False), **changes)


@dataclass
class Callers:
    """Callers of one gateway, from any address."""

    parts: GatewayParts

    def __post_init__(self) -> None:
        self.app = build_gateway(self.parts)

    async def post(
        self,
        headers: Mapping[str, str]
        | list[tuple[str, str]]
        | list[tuple[bytes, bytes]]
        | None = None,
        *,
        peer: str = "192.0.2.1",
        path: str = HOOK,
        certificate: tuple[str, ...] = (),
        content: bytes = BODY,
    ) -> httpx.Response:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if certificate:
                scope[CERTIFICATE_NAMES] = certificate
            await self.app(scope, receive, send)

        transport = httpx.ASGITransport(app, client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.post(path, content=content, headers=headers)

    async def codes(self, count: int, headers: Mapping[str, str], **how: Any) -> list[int]:
        return [(await self.post(headers, **how)).status_code for _ in range(count)]

    def sample(self, name: str, **labels: str) -> float:
        return self.parts.metrics.registry.get_sample_value(name, labels) or 0.0


async def test_a_sender_with_a_name_is_counted_and_named_in_the_log() -> None:
    callers = Callers(named_parts())
    file = io.StringIO()
    configure_logs(file)
    try:
        # One wrong alert each, which the log tells of.
        for headers, certificate in ((FRA, ()), ({}, ("am.muc.example",)), (OWN, ())):
            content = b'{"alerts": [{}]}'
            answer = await callers.post(headers, certificate=certificate, content=content)
            assert answer.status_code == 422
    finally:
        structlog.reset_defaults()
    lines = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [line.get("sender") for line in lines] == ["fra", "muc", None]
    counted = [
        callers.sample("quell_intake_sender_requests_total", sender=each, **labels)
        for each in ("fra", "muc", "")
        for labels in ({"source": "alertmanager", "code": "422"},)
    ]
    assert counted == [1, 1, 0]


async def test_each_sender_has_a_rate_of_its_own_and_is_told_when_to_come_back() -> None:
    clock = VirtualClock()
    limits = Limits(requests_per_s=0.5, burst=2)
    callers = Callers(named_parts(limits=limits, clock=clock))
    assert await callers.codes(3, FRA) == [200, 200, 503]
    refused = await callers.post(FRA)
    assert (refused.headers["retry-after"], refused.json()["detail"]) == (
        "2",
        "Too many requests at once; send this one again.",
    )
    assert await callers.codes(2, OWN) == [200, 200]
    assert await callers.codes(2, {}, certificate=("am.muc.example",)) == [200, 200]
    clock.advance(2)
    assert await callers.codes(2, FRA) == [200, 503]
    limited = {"source": "alertmanager", "sender": "fra"}
    assert callers.sample("quell_rate_limited_total", **limited) == 3


async def test_who_does_not_get_in_is_bounded_by_address_and_holds_up_nobody_who_does() -> None:
    callers = Callers(named_parts(limits=Limits(requests_per_s=1, burst=3)))
    wrong = {"authorization": "Bearer wrong"}
    with capture_logs() as logs:
        assert await callers.codes(3, wrong) == [401] * 3
        assert await callers.codes(50, wrong) == [503] * 50
        assert (await callers.post(wrong, path="/v1/runs")).status_code == 503
        assert await callers.codes(1, wrong, peer="192.0.2.2") == [401]
    assert [each["event"] for each in logs] == ["intake_denied"] * 4
    assert await callers.codes(3, FRA) == [200] * 3, "from the same address"
    unknown = {"source": "alertmanager", "sender": "(unknown)"}
    assert callers.sample("quell_rate_limited_total", **unknown) == 50


async def test_the_log_names_the_source_that_is_none_without_what_stands_behind_it() -> None:
    callers = Callers(named_parts(limits=Limits(requests_per_s=1, burst=3)))
    with capture_logs() as logs:
        for address in ("nagios", "nagios/t0ken", "alertmanager/"):
            answer = await callers.post(FRA, path=f"/v1/alerts/{address}")
            assert (answer.status_code, answer.json()["detail"]) == (
                404,
                f"no source {address!r}; /v1/alerts/ is followed by a source's kind or name",
            )
        assert await callers.codes(2, FRA, path="/v1/alerts/nagios") == [503] * 2
    assert [(log["event"], log["address"], log["peer"]) for log in logs] == [
        ("intake_no_such_source", "nagios", "192.0.2.1"),
        ("intake_no_such_source", "nagios/", "192.0.2.1"),
        ("intake_no_such_source", "alertmanager/", "192.0.2.1"),
    ]
    assert callers.sample("quell_rate_limited_total", source="", sender="(unknown)") == 2
    assert await callers.codes(3, FRA) == [200] * 3, "from the same address"


class SignedSource(AlertmanagerSource):
    """Only the body tells; nobody's does."""

    @override
    async def admit(self, sender: Sender, now: datetime) -> Admission:
        return BY_BODY

    @override
    async def admit_body(self, sender: Sender, body: bytes, now: datetime) -> Admission:
        return denied("a wrong signature")


async def test_bodies_of_who_knows_whom_are_not_even_read_past_the_rate() -> None:
    parts = gateway_parts(SignedSource(AlertmanagerConfig()), loopback=False)
    callers = Callers(replace(parts, limits=Limits(requests_per_s=1, burst=4)))
    with capture_logs() as logs:
        assert await callers.codes(4, {}) == [401, 401, 503, 503]
    assert len(logs) == 2


async def test_a_proxy_s_word_for_a_certificate_counts_and_nobody_else_s() -> None:
    callers = Callers(named_parts(proxy=PROXY))
    told = {"x-client-cert": "CN=am.muc.example,O=Example"}
    assert (await callers.post(told, peer="10.1.2.3")).status_code == 200
    assert (await callers.post(told)).status_code == 401
    assert (await callers.post({"x-client-cert": "CN=other"}, peer="10.1.2.3")).status_code == 401
    twice = [("x-client-cert", "CN=other"), ("x-client-cert", "CN=am.muc.example")]
    assert (await callers.post(twice, peer="10.1.2.3")).status_code == 401
    # The proxy's own certificate is not its clients'.
    own = ("am.muc.example",)
    assert (await callers.post(peer="10.1.2.3", certificate=own)).status_code == 401
    assert (await callers.post(peer="192.0.2.1", certificate=own)).status_code == 200
    without = Callers(named_parts())
    assert (await without.post(told, peer="10.1.2.3")).status_code == 401


async def test_what_comes_through_a_proxy_of_this_machine_is_not_from_this_machine() -> None:
    local = TrustedProxy("x-client-cert", (ip_network("127.0.0.1"),))
    callers = Callers(replace(named_parts(proxy=local), loopback=True))
    assert (await callers.post(peer="127.0.0.1")).status_code == 401
    assert (await callers.post(peer="127.0.0.1", path="/v1/runs")).status_code == 401
    assert (await Callers(replace(named_parts(), loopback=True)).post()).status_code == 200


class GapAtTheDoor(AlertmanagerSource):
    """Finds a gap in itself with whatever it is shown."""

    @override
    async def admit(self, sender: Sender, now: datetime) -> Admission:
        if sender.headers.get("authorization") == "by the body":
            return BY_BODY
        raise KeyError("unforeseen")

    @override
    async def admit_body(self, sender: Sender, body: bytes, now: datetime) -> Admission:
        raise KeyError("unforeseen")


@pytest.mark.parametrize("authorization", ["by itself", "by the body"])
async def test_a_gap_in_who_gets_in_lets_nobody_in_and_costs_no_alert(authorization: str) -> None:
    """The sender comes again, until the gap is closed."""
    parts = gateway_parts(GapAtTheDoor(AlertmanagerConfig()), loopback=False)
    with capture_logs() as logs:
        answer = await Callers(parts).post({"authorization": authorization})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "unforeseen" not in answer.text
    assert [each["event"] for each in logs] == ["admission_failed", "intake_unavailable"]
    assert isinstance(parts.intake, MemoryIntake)
    assert (parts.intake.alerts, parts.intake.letters) == ([], [])


async def test_a_gap_in_one_source_keeps_no_sender_of_another_out() -> None:
    gap, sound = GapAtTheDoor(AlertmanagerConfig(name="gap")), source_of(NAMED)
    parts = gateway_parts(gap, sound, loopback=False)
    assert (await Callers(parts).post(FRA)).status_code == 200


READ = st.sampled_from(
    [
        *("host", "origin", "referer", "forwarded", "x-forwarded-for", "authorization"),
        *("content-length", "content-type", "content-encoding", "user-agent", "x-client-cert"),
    ]
)
PIECES = st.sampled_from(
    [
        *(b"[", b"]", b"::1", b":", b"localhost", b"//", b"@", b"?", b".", b"=", b",", b";", b'"'),
        *(b"\0", b"\xff", "é".encode(), b"%ff", b"%00", b"\\", b" ", b"-1", b"9" * 20, b"gzip"),
        *(b"Bearer ", b"Basic ", b"CN=a,", b":AAAA:", b"-----BEGIN CERTIFICATE-----"),
    ]
)
HEADERS = st.lists(st.tuples(READ, st.lists(PIECES, max_size=5).map(b"".join)), max_size=4)


@cache
def unbounded_door() -> Callers:
    """One for all examples: making it takes longer than an example."""
    return Callers(named_parts(proxy=PROXY, limits=Limits(requests_per_s=1e9, burst=10**9)))


@settings(deadline=None, max_examples=300)
@given(HEADERS, st.sampled_from(["10.1.2.3", "192.0.2.1"]), st.sampled_from([HOOK, "/v1/runs"]))
async def test_no_header_of_a_stranger_is_a_fault_of_ours(
    headers: list[tuple[str, bytes]], peer: str, path: str
) -> None:
    callers = unbounded_door()
    sent = [(name.encode(), value) for name, value in headers]
    answer = await callers.post(sent, peer=peer, path=path)
    assert answer.status_code in (401, 413), answer.text


SECRET = "t0ken-in-the-url"
REQUESTS = [
    pytest.param(f"POST {HOOK}?token={SECRET} HTTP/1.1", b"{", id="wrong token"),
    pytest.param(f"POST {HOOK}?token={SECRET} HTTP/1.1", b'{"alerts": 1}', id="no alerts"),
    pytest.param(f"POST /v1/alerts/nobody?token={SECRET} HTTP/1.1", b"{}", id="no source"),
    pytest.param(f"GET {HOOK}?token={SECRET} HTTP/1.1", b"", id="another method"),
    pytest.param(f"POST /v1/runs?token={SECRET} HTTP/1.1", b"{}", id="an order"),
    pytest.param(f"GET /v1/incidents?limit=x&token={SECRET} HTTP/1.1", b"", id="a wrong query"),
    pytest.param(f"GET /nowhere?token={SECRET} HTTP/1.1", b"", id="no such page"),
    pytest.param(f"GET /healthz?token={SECRET} HTTP/9.1", b"", id="no HTTP"),
    pytest.param(f"GET http://[x?token={SECRET} HTTP/1.1", b"", id="no address"),
]


@pytest.mark.parametrize("loopback", [True, False], ids=["open", "guarded"])
@pytest.mark.parametrize(("line", "content"), REQUESTS)
def test_a_token_in_the_url_is_in_no_log_and_no_answer(
    line: str, content: bytes, loopback: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    head = f"{line}\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {len(content)}\r\n"
    parts = replace(named_parts(), loopback=loopback)
    with capture_logs() as logs, serving(parts) as (port, _), connected(port) as caller:
        caller.sendall(head.encode() + b"\r\n" + content)
        answer = whole(caller)
    assert answer.startswith(b"HTTP/1.1 ")
    assert b"HTTP/1.1 5" not in answer
    for told in (answer.decode(), caplog.text, repr(logs)):
        assert SECRET not in told
