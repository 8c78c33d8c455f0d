"""Who may do what on loopback and elsewhere, and what an order's body must be."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from connectors.sources.alertmanager import AlertmanagerConfig, AlertmanagerSource
from engine.gateway.app import build_gateway
from engine.gateway.parts import GatewayParts, Limits
from engine.ports.commands import By
from tests.doubles.gateway import HOLDER, TOKEN, MemoryCommands, gateway_parts, served

HEALTH = ("/healthz", "/readyz", "/-/healthy", "/-/ready")
READS = (
    "/v1/incidents",
    "/v1/incidents/INC-1",
    "/v1/approvals/run1",
    "/v1/balance",
    "/v1/audit/verify",
    "/metrics",
    "/api/v2/status",
    "/docs",
    "/openapi.json",
)
ORDERS: Mapping[str, object] = {
    "/v1/approvals/approval1/decision": {"decision": "approve", "plan_hash": "hash1"},
    "/v1/incidents/INC-1/acknowledge": {},
    "/v1/runs": {"playbook": "restart-vllm"},
    "/v1/runs/run1/cancel": {},
}
ALERTS = ("/v1/alerts/alertmanager", "/api/v2/alerts")
BEARER = {"authorization": f"Bearer {TOKEN}"}
SOURCE = {"authorization": "Bearer s3cret"}
WRONG = {"authorization": "Bearer t0ke"}
FORWARDED = {"x-forwarded-for": "203.0.113.9"}
ELSEWHERE = {"host": "quell.example"}


def guarded_parts(*, loopback: bool) -> GatewayParts:
    config = AlertmanagerConfig(bearer=(SecretStr("s3cret"),))
    return gateway_parts(AlertmanagerSource(config), loopback=loopback)


async def call(
    parts: GatewayParts,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    json: object = None,
    content: bytes | None = None,
) -> httpx.Response:
    transport = httpx.ASGITransport(build_gateway(parts))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8484") as http:
        return await http.request(method, path, headers=headers, json=json, content=content)


def orders(parts: GatewayParts) -> list[tuple[object, ...]]:
    assert isinstance(parts.commands, MemoryCommands)
    return parts.commands.orders


# What a request reaches with which credentials: health, reads, orders, alerts.
ACCESS = [
    pytest.param(True, {}, "health reads alerts", id="loopback"),
    pytest.param(True, WRONG, "health reads alerts", id="loopback, wrong token"),
    pytest.param(True, BEARER, "health reads orders alerts", id="loopback, token"),
    pytest.param(True, FORWARDED, "health", id="loopback behind a proxy"),
    pytest.param(True, ELSEWHERE, "health", id="loopback by another name"),
    pytest.param(True, {"origin": "https://evil.example"}, "health", id="another site's page"),
    pytest.param(True, FORWARDED | BEARER, "health reads orders", id="proxy, token"),
    pytest.param(True, FORWARDED | SOURCE, "health alerts status", id="proxy, source's credential"),
    pytest.param(False, {}, "health", id="open address"),
    pytest.param(False, WRONG, "health", id="open address, wrong token"),
    pytest.param(False, BEARER, "health reads orders", id="open address, token"),
    pytest.param(False, SOURCE, "health alerts status", id="open address, source's credential"),
]


@pytest.mark.parametrize(("loopback", "headers", "reaches"), ACCESS)
async def test_who_reaches_what(
    loopback: bool,
    headers: Mapping[str, str],
    reaches: str,
) -> None:
    parts = guarded_parts(loopback=loopback)
    for path in HEALTH:
        assert (await call(parts, "GET", path, headers=headers)).status_code == 200
    for path in READS:
        open_ = "reads" in reaches or ("status" in reaches and path == "/api/v2/status")
        response = await call(parts, "GET", path, headers=headers)
        assert response.status_code == (200 if open_ else 401), path
    for path, order in ORDERS.items():
        response = await call(parts, "POST", path, headers=headers, json=order)
        assert (response.status_code == 401) == ("orders" not in reaches), path
        assert response.is_success == ("orders" in reaches), path
    for path, body in zip(ALERTS, ({"alerts": []}, []), strict=True):
        response = await call(parts, "POST", path, headers=headers, json=body)
        assert response.status_code == (200 if "alerts" in reaches else 401), path
    assert bool(orders(parts)) == ("orders" in reaches)


async def test_every_refusal_is_the_same() -> None:
    parts = guarded_parts(loopback=False)
    answers = [
        await call(parts, "POST", path, headers=headers, json={})
        for path in (*ORDERS, *ALERTS)
        for headers in ({}, WRONG, {"authorization": "Basic eDp5"})
    ]
    assert {answer.content for answer in answers} == {answers[0].content}
    asked = {answer.headers["www-authenticate"] for answer in answers[: len(ORDERS) * 3]}
    assert asked == {"Bearer"}, "a browser shows no dialogue of its own"
    asked = {answer.headers["www-authenticate"] for answer in answers[len(ORDERS) * 3 :]}
    assert asked == {'Bearer, Basic realm="quell"'}


async def test_the_actor_is_the_token_s_holder_whatever_the_caller_says() -> None:
    parts = guarded_parts(loopback=True)
    headers = BEARER | {"x-quell-actor": "slack:T1/U1"}
    await call(parts, "POST", "/v1/incidents/INC-1/acknowledge", headers=headers, json={})
    assert orders(parts) == [("acknowledge", "INC-1", HOLDER, "")]
    assert By("local:token", "api", frozenset({"admin"})) == HOLDER


async def test_an_unknown_order_without_a_token_is_401_not_404() -> None:
    assert (await call(guarded_parts(loopback=True), "POST", "/v1/secret")).status_code == 401


@pytest.mark.parametrize(
    ("path", "content_type"),
    [(ALERTS[0], "application/problem+json"), (ALERTS[1], "application/json")],
)
async def test_amtool_can_read_why_its_alert_was_refused(path: str, content_type: str) -> None:
    parts = guarded_parts(loopback=False)
    refused = await call(parts, "POST", path, headers=WRONG, json=[])
    unsound = await call(parts, "POST", path, headers=SOURCE, json=5)
    asked = await call(parts, "GET", path, headers=SOURCE)
    answers = (refused, unsound, asked)
    assert [answer.status_code for answer in answers] == [401, 422, 405]
    for answer in answers:
        assert answer.headers["content-type"] == content_type
        assert answer.json()["status"] == answer.status_code


NOWHERE = ", and nothing is at this path; alerts are sent to /v1/alerts/NAME"


@pytest.mark.parametrize(
    ("path", "headers", "why"),
    [
        pytest.param("/v1/alert/alertmanager", SOURCE, f"wrong token{NOWHERE}", id="a slip"),
        pytest.param("/", {}, f"no token{NOWHERE}", id="the address alone"),
        pytest.param("/v1/runs", WRONG, "wrong token", id="an order"),
        pytest.param("/v1/incidents/INC-1/acknowledge", {}, "no token", id="an order by its id"),
    ],
)
async def test_the_log_says_where_a_sender_at_a_wrong_path_has_to_send(
    path: str, headers: Mapping[str, str], why: str
) -> None:
    with capture_logs() as logs:
        await call(guarded_parts(loopback=False), "POST", path, headers=headers, json={})
    assert [log["why"] for log in logs] == [why]


BAD_BODIES = [
    pytest.param(
        b'{"decision": "approve", "decision": "reject", "plan_hash": "h"}', 400, id="twice"
    ),
    pytest.param(b"{", 400, id="not JSON"),
    pytest.param(b"[" * 50_000, 400, id="deep"),
    pytest.param(b'{"decision": NaN}', 400, id="NaN"),
    pytest.param(b'{"decision": "approve"}', 422, id="no hash"),
    pytest.param(b'{"decision": "perhaps", "plan_hash": "h"}', 422, id="a third way"),
    pytest.param(
        b'{"decision": "approve", "plan_hash": "h", "force": true}', 422, id="a member more"
    ),
    pytest.param(b"", 422, id="nothing"),
    pytest.param(b" " * 70_000, 413, id="too large"),
]


@pytest.mark.parametrize(("content", "status"), BAD_BODIES)
async def test_an_order_that_says_anything_but_one_thing_is_refused(
    content: bytes, status: int
) -> None:
    parts = guarded_parts(loopback=True)
    response = await call(
        parts, "POST", "/v1/approvals/approval1/decision", headers=BEARER, content=content
    )
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    assert orders(parts) == []


def test_an_order_s_body_has_a_deadline_too() -> None:
    parts = replace(guarded_parts(loopback=True), limits=Limits(read_deadline_s=0.2))
    with served(parts) as port:
        reply = asyncio.run(half_an_order(port))
    assert reply.startswith(b"HTTP/1.1 408 ")


async def half_an_order(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            b"POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n"
            b"Authorization: Bearer " + TOKEN.encode() + b"\r\n\r\n{"
        )
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
