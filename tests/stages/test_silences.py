"""Silences over alerts, incidents and runs; the stage's other orders are in test_commands."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from engine.core import events
from engine.core.access import ADMIN
from engine.errors import ConflictError, DeniedError, NotFoundError, PermanentError
from engine.ports.commands import By, WantedSilence
from tests.doubles.ruled import of, ruled, statuses
from tests.doubles.world import ONCALL, STRANGER, World, a_world, approve

HOUR = timedelta(hours=1)
DOWN = """
  - {id: down, description: Down, matchers: ['alertname="Down"'], severity: P2}
"""


def wanted(world: World, *matchers: str, hours: float = 1) -> WantedSilence:
    return WantedSilence(matchers, world.clock.now() + hours * HOUR, "a drill")


async def test_a_silenced_alert_waits_and_what_still_fires_is_decided_at_the_end(
    tmp_path: Path,
) -> None:
    async with ruled(tmp_path, DOWN) as world:
        await world.commands.silence(wanted(world, "service=a"), by=ONCALL)
        await world.intake.accept(
            "alertmanager", [world.alert("Down", {"service": s}) for s in ("a", "b")], 0
        )
        assert dict(await world.consume()) == {"suppressed": 1, "new": 1}
        assert [each.service for each in await of(world, "down")] == ["b"]
        assert await world.held() == [("down", "silenced")]
        await world.elapse(3590)
        assert len(await of(world, "down")) == 1
        await world.elapse(20)
        assert [each.service for each in await of(world, "down")] == ["b", "a"]


async def test_ending_a_silence_decides_at_once_and_a_longer_one_holds_on(tmp_path: Path) -> None:
    async with ruled(tmp_path, DOWN) as world:
        short = await world.commands.silence(wanted(world, "service=~a|b"), by=ONCALL)
        await world.fire("Down", service="a")
        await world.fire("Down", service="b")
        await world.commands.silence(wanted(world, "service=b", hours=2), by=ONCALL)
        await world.commands.end_silence(short.id[:10], by=ONCALL, reason="over")
        await world.settle()
        assert [each.service for each in await of(world, "down")] == ["a"]
        with pytest.raises(ConflictError, match="ended at"):
            await world.commands.end_silence(short.id, by=ONCALL)
        with pytest.raises(NotFoundError, match="quell silence list"):
            await world.commands.end_silence("zzz", by=ONCALL)
        (left,) = await world.queries.silences()
        assert left.matchers == ("service=b",)


async def test_nobody_is_told_of_an_incident_while_all_of_it_is_silenced(tmp_path: Path) -> None:
    async with ruled(tmp_path, DOWN) as world:
        await world.intake.accept("alertmanager", [world.alert("Down", {"service": "a"})], 0)
        await world.consume()
        await world.commands.silence(wanted(world, "service=a"), by=ONCALL)
        await world.elapse(600)
        assert world.notifier.shown == []
        await world.elapse(3600)
        assert len(world.notifier.shown) >= 1


async def test_a_run_waits_while_all_that_fires_is_silenced(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        await world.fire()
        silence = await world.commands.silence(wanted(world, "alertname=Down"), by=ONCALL)
        await approve(world)
        assert await world.told(events.AttemptIntended) == []
        (held,) = await world.told(events.RunHeldBack)
        assert (held.guard, held.reason) == (
            "silenced",
            f"all of it is silenced ({ONCALL.actor}: a drill)",
        )
        await world.commands.end_silence(silence.id, by=ONCALL)
        await world.elapse(10)
        assert len(await world.told(events.AttemptIntended)) == 1


async def test_what_may_not_or_can_not_be_silenced_is_refused(tmp_path: Path) -> None:
    async with ruled(tmp_path, DOWN) as world:
        order = wanted(world, "service=a")
        with pytest.raises(DeniedError):
            await world.commands.silence(order, by=STRANGER)
        with pytest.raises(PermanentError, match="every alert"):
            await world.commands.silence(replace(order, matchers=("x=~.*",)), by=ONCALL)
        with pytest.raises(PermanentError, match="comment"):
            await world.commands.silence(replace(order, comment=" "), by=ONCALL)
        with pytest.raises(PermanentError, match="before it begins"):
            await world.commands.silence(replace(order, ends_at=world.clock.now()), by=ONCALL)
        assert await world.queries.silences() == []


async def test_an_imported_silence_follows_its_origin_and_is_journaled_once_a_change(
    tmp_path: Path,
) -> None:
    async with ruled(tmp_path, DOWN) as world:
        by = By("local:me", "cli", frozenset({ADMIN}))
        order = replace(
            wanted(world, "service=a"), origin="http://am/1", starts_at=world.clock.now()
        )
        first = await world.commands.silence(order, by=by)
        again = await world.commands.silence(order, by=by)
        longer = await world.commands.silence(replace(order, ends_at=order.ends_at + HOUR), by=by)
        assert first == again
        assert (longer.id, longer.ends_at) == (first.id, order.ends_at + HOUR)
        entries = await world.store.read(lambda tx: tx.entries("access"))
        assert [each.kind for each in entries] == ["silence.set@1", "silence.set@1"]
        assert await statuses(world, "down") == []


FROZEN = """language: 1
calendars: {march: {intervals: [{months: [march], days_of_month: ['1']}]}}
freezes: [{id: launch, calendar: march, policy: %s, why: the launch}]
"""


@pytest.mark.parametrize(
    ("policy", "attempts", "outcome"),
    [("defer", 0, ""), ("skip", 0, "skipped"), ("ask", 1, "succeeded")],
)
async def test_a_change_freeze_stands_before_the_first_change(
    tmp_path: Path, policy: str, attempts: int, outcome: str
) -> None:
    async with a_world(tmp_path) as world:
        world.policy(FROZEN % policy)
        await world.fire()
        if policy == "ask":
            await approve(world)
        await world.elapse(60)
        assert len(await world.told(events.AttemptIntended)) == attempts
        incident = await world.incident()
        assert incident.outcome == outcome
        if policy == "defer":
            (held,) = await world.told(events.RunHeldBack)
            assert held.reason == "freeze launch (the launch) until 2026-03-02 00:00 UTC"
            await world.elapse(12 * 3600)
            await approve(world)
            assert len(await world.told(events.AttemptIntended)) == 1
        if policy == "skip":
            assert incident.phase == "needs_person"
