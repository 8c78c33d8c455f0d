"""Asking again changes nothing that was decided, and a run waits for what explains its incident."""

from datetime import timedelta
from pathlib import Path

import pytest

from engine.core import events
from engine.core.records import Tick, encode_tick
from engine.ports.stream import Message
from tests.doubles.ruled import of, ruled, statuses
from tests.doubles.world import World, a_world, approve
from tests.doubles.written import RULES

CONTINUES = """
  - {id: first, description: First, matchers: ['alertname="Down"'], severity: P3, continue: true}
  - {id: second, description: Second, matchers: ['service="s"'], severity: P2}
"""


async def ask_again(world: World, name: str, **labels: str) -> None:
    """The tick by which an occurrence is asked again, come once more."""
    alert = world.alert(name, labels)
    tick = Tick("hold_due", alert.fingerprint, world.clock.now())
    await world.stream.append([Message(alert.partition_key, encode_tick(tick, world.clock.now()))])
    await world.settle()


async def test_a_rule_that_continues_and_the_next_have_an_incident_each(tmp_path: Path) -> None:
    async with ruled(tmp_path, CONTINUES) as world:
        await world.fire("Down", service="s")
        assert [each.rule_id for each in await world.incidents()] == ["first", "second"]
        await world.resolve("Down", service="s")
        assert await statuses(world, "first") == await statuses(world, "second")
        assert await statuses(world, "first") == [("resolved", 0)]


@pytest.mark.parametrize("rule", ["for: 1m", "window: {at_least: 2, within: 5m}"])
async def test_asking_once_more_changes_nothing(tmp_path: Path, rule: str) -> None:
    text = f"""
  - {{id: down, description: Down, matchers: ['alertname="Down"'], severity: P3, {rule}}}
"""
    async with ruled(tmp_path, text) as world:
        await world.fire("Down", service="s")
        await ask_again(world, "Down", service="s")
        assert await of(world, "down") == []
        await world.elapse(61)
        await world.fire("Down", service="s", instance="2")
        await world.elapse(61)
        before = await statuses(world, "down")
        assert before == [("open", 2)]
        await ask_again(world, "Down", service="s")
        assert await statuses(world, "down") == before
        story = await world.story(await world.incident())
        joined = [
            each
            for e in story
            if isinstance(e, events.OccurrenceJoined)
            for each in e.occurrence_ids
        ]
        assert len(joined) == len(set(joined)) == 2


INHIBITED = RULES.replace("%s", "approve").replace(
    "    group_by: [target]\n",
    """    group_by: [target]
    inhibited_by: {matchers: ['alertname="RegionOutage"']}
""",
)


async def test_a_run_does_not_begin_while_something_fires_that_explains_it(tmp_path: Path) -> None:
    async with a_world(tmp_path, rules=INHIBITED) as world:
        await world.fire()
        await world.fire("RegionOutage", service="r")
        await approve(world)
        assert await world.told(events.AttemptIntended) == []
        (held,) = await world.told(events.RunHeldBack)
        assert (held.guard, held.reason) == (
            "inhibited",
            "RegionOutage fires, which explains this",
        )
        await world.resolve("RegionOutage", service="r")
        await world.elapse(10)
        assert len(await world.told(events.AttemptIntended)) == 1


async def test_what_is_decided_long_after_it_was_received_asks_a_person(tmp_path: Path) -> None:
    for minutes, mode in ((14, "auto"), (16, "approve")):
        async with a_world(tmp_path / str(minutes), mode="auto") as world:
            await world.intake.accept("alertmanager", [world.alert()], 0)
            world.clock.advance(timedelta(minutes=minutes).total_seconds())
            await world.settle()
            (run,) = await world.told(events.RunCreated)
            assert run.mode == mode
            assert mode == "auto" or run.mode_decided_by == "it was decided 16 min late"
