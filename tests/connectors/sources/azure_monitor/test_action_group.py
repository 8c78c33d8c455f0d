"""An action group and a real gateway: what it sends arrives, and what is kept names nobody."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import httpx
import pytest
import structlog

from engine.errors import TransientError
from engine.gateway.app import build_gateway
from engine.gateway.parts import GatewayParts
from tests.connectors.sources.azure_monitor.azure import AUDIENCE, TENANT, around, notice, source
from tests.doubles.fixed_clock import NOW
from tests.doubles.gateway import MemoryIntake, gateway_parts
from tests.doubles.virtual_time import VirtualClock, until
from tests.services.azure_action_group import ActionGroup, Delivery
from tests.services.key_issuer import KeyIssuer, key_issuer

ADDRESS = "https://quell.example/v1/alerts/azure-monitor"
URL_TOKEN = "0123456789abcdef"


@dataclass
class Wired:
    """An action group that sends to a gateway, in virtual time."""

    parts: GatewayParts
    group: ActionGroup
    clock: VirtualClock

    @property
    def intake(self) -> MemoryIntake:
        assert isinstance(self.parts.intake, MemoryIntake)
        return self.parts.intake


@pytest.fixture
def issuer() -> Iterator[KeyIssuer]:
    with key_issuer() as running:
        yield running


def wired(issuer: KeyIssuer | None, **settings: Any) -> Wired:
    guarded = source(**settings)
    parts = replace(
        gateway_parts(loopback=False), sources=dict.fromkeys(("azure-monitor",), (guarded,))
    )
    http = httpx.AsyncClient(transport=httpx.ASGITransport(build_gateway(parts)))
    clock = VirtualClock(at=NOW)
    return Wired(parts, ActionGroup(http, ADDRESS, clock, issuer, TENANT, AUDIENCE), clock)


def secure(issuer: KeyIssuer) -> Wired:
    entra = {"tenant": TENANT, "audience": AUDIENCE, "keys_url": issuer.url}
    return wired(issuer, entra=entra)


def fired_at(number: int) -> bytes:
    alert_id = f"/subscriptions/s/providers/Microsoft.AlertsManagement/alerts/{number:032x}"
    return json.dumps(notice("test-metric-static", alertId=alert_id)).encode()


async def through_an_outage(wired: Wired, bodies: list[bytes], outage_s: float) -> list[Delivery]:
    """Send each body in turn, one a second, while nothing can be kept for so long."""
    wired.intake.fault = TransientError("no stream")
    began: datetime = wired.clock.now()
    async with asyncio.TaskGroup() as tasks:
        sent: list[asyncio.Task[Delivery]] = []
        while len(sent) < len(bodies) or not all(task.done() for task in sent):
            if len(sent) < len(bodies):
                sent.append(tasks.create_task(wired.group.notify(bodies[len(sent)])))
            await until(lambda: all(task.done() for task in sent) or wired.clock.at_rest())
            wired.clock.advance(1)
            if (wired.clock.now() - began).total_seconds() >= outage_s:
                wired.intake.fault = None
    return [task.result() for task in sent]


async def test_nothing_is_lost_in_an_outage_of_a_minute(issuer: KeyIssuer) -> None:
    wired = secure(issuer)
    found = await through_an_outage(wired, [fired_at(n) for n in range(20)], 60)
    assert {each.outcome for each in found} == {"delivered"}
    assert len({alert.fingerprint for alert in wired.intake.alerts}) == 20
    assert found[0].statuses == (503, 503, 503, 503, 200)


async def test_a_longer_one_makes_azure_fall_silent(issuer: KeyIssuer) -> None:
    """Which is why alerts are kept on disk while the stream is away, and 503 is the exception."""
    wired = secure(issuer)
    found = await through_an_outage(wired, [fired_at(n) for n in range(100)], 90)
    assert [each.outcome for each in found].count("given up") > 0
    assert found[-1].outcome == "silent"


async def test_a_token_in_the_address_lets_in_and_is_in_no_log() -> None:
    wired_ = wired(None, url_tokens=[URL_TOKEN])
    with structlog.testing.capture_logs() as logs:
        wired_.group.url = f"{ADDRESS}?token={URL_TOKEN}"
        assert (await wired_.group.notify(fired_at(1))).outcome == "delivered"
        wired_.group.url = f"{ADDRESS}?token=x{URL_TOKEN}"
        assert (await wired_.group.notify(fired_at(2))).statuses == (401,)
        wired_.group.url = f"{ADDRESS}?token={URL_TOKEN}"
        assert (await wired_.group.notify(b"{")).statuses == (400,)
    assert logs
    assert URL_TOKEN not in repr(logs)
    assert URL_TOKEN not in repr(wired_.intake.letters)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (around("administrative", "x", monitorCondition="Odd"), 422),
        ({"schemaId": "Microsoft.Insights/activityLogs", "data": {"claims": "aio"}}, 422),
        ({"claims": "aio", "n": float("nan")}, 400),
    ],
    ids=["wrong field", "another schema", "no strict JSON"],
)
async def test_a_dead_letter_names_nobody(content: Any, status: int) -> None:
    wired_ = wired(None, bearer=["s3cret"])
    headers = {"authorization": "Bearer s3cret"}
    with structlog.testing.capture_logs() as logs:
        answer = await wired_.group.http.post(
            ADDRESS, content=json.dumps(content).encode(), headers=headers
        )
    assert answer.status_code == status
    [letter] = wired_.intake.letters
    assert b"left out" in letter.raw
    for who in ("aio", "22223333-cccc"):
        assert who not in repr(letter) + repr(logs) + answer.text


async def test_a_dead_letter_is_read_again_after_a_fix() -> None:
    wired_ = wired(None, bearer=["s3cret"])
    headers = {"authorization": "Bearer s3cret"}
    body = around("administrative", "Activity Log - Administrative", monitorCondition="Odd")
    await wired_.group.http.post(ADDRESS, content=json.dumps(body).encode(), headers=headers)
    [letter] = wired_.intake.letters
    kept = json.loads(letter.raw)
    kept["data"]["essentials"]["monitorCondition"] = "Fired"
    [alert] = source().parse(kept, NOW).alerts
    body["data"]["essentials"]["monitorCondition"] = "Fired"
    assert [alert] == list(source().parse(body, NOW).alerts)
