"""After a stop or a cancellation nothing is begun, and what is under way is told to end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, cast

import pytest

from engine.core import events
from engine.core.actions import Call, ProbeAnswer, Repeat, Result
from engine.core.json_value import JsonObject
from engine.core.stops import StopScope
from engine.ports.store import Store
from tests.doubles.noting import NotingStore
from tests.doubles.scripted import FAILED, OK, Hanging
from tests.doubles.virtual_time import until
from tests.doubles.world import ONCALL, World, a_world, approve, ended, mending, under_way
from tests.doubles.written import CALLED, CALLER

T = TypeVar("T")

LOCKED = "; it was under way, so gpu-07 stays locked (`quell locks list`)"
STOPPED = "stopped by slack:T1/U1: wrong region"


async def stop(world: World, scope: StopScope = "all", name: str = "") -> None:
    await world.commands.stop(scope, name, by=ONCALL, reason="wrong region")


async def cancel(world: World) -> None:
    await world.commands.cancel_run((await world.incident()).run_id, by=ONCALL, reason="no")


@asynccontextmanager
async def attempt_under_way(world: World, change: Hanging) -> AsyncIterator[asyncio.Task[None]]:
    """The approved change is being made; afterwards its worker has done what it can."""
    world.mend.will("restart", change)
    async with under_way(world, change) as working:
        yield working


ORDERS = {"a stop": stop, "a cancellation": cancel}
REASONS = {"a stop": STOPPED, "a cancellation": "cancelled by slack:T1/U1: no"}


@pytest.mark.parametrize("order", ORDERS)
async def test_what_is_under_way_is_signalled_within_a_second_and_then_settled(
    world: World, order: str
) -> None:
    world.mend.probes = [ProbeAnswer.NOT_DONE]
    change = Hanging()
    async with attempt_under_way(world, change):
        world.clock.advance(0.9)
        await until(world.clock.at_rest)
        assert not change.signalled.is_set()
        await ORDERS[order](world)
        world.clock.advance(1)
        await until(change.signalled.is_set)
    (intent,) = await world.told(events.AttemptIntended)
    (attempt,) = await world.told(events.AttemptEnded)
    assert (attempt.outcome, attempt.begun) == ("unknown", True)
    assert attempt.error.startswith((STOPPED, "the run was cancelled"))
    not_after = f"{events.moment(intent.not_after):%H:%M:%S} UTC"
    assert attempt.error.endswith(f"may be under way on the target until {not_after}")
    assert await world.told(events.RunEnded) == [], "not before it can be over"
    await world.elapse(90)
    assert len(world.mend.probed) == 1
    assert await ended(world) == ("cancelled", REASONS[order])
    assert change.begun == 1
    assert (await world.incident()).phase == "needs_person"


async def test_what_nobody_may_look_at_ends_once_it_can_be_under_way_no_more(world: World) -> None:
    world.mend.repeat = Repeat.NEVER
    change = Hanging()
    async with attempt_under_way(world, change):
        await stop(world)
        world.clock.advance(1)
        await until(change.signalled.is_set)
    (intent,) = await world.told(events.AttemptIntended)
    await world.elapse((events.moment(intent.not_after) - world.clock.at).total_seconds())
    assert await world.told(events.RunEnded) == [], "it may be under way"
    await world.elapse(5)
    assert await ended(world) == ("cancelled", STOPPED + LOCKED)
    assert await world.tasks("run") == {}


async def test_an_end_that_the_action_tells_in_spite_of_the_signal_is_kept(world: World) -> None:
    change = Hanging(FAILED)
    async with attempt_under_way(world, change):
        await stop(world)
        world.clock.advance(1)
        await until(change.signalled.is_set)
    (attempt,) = await world.told(events.AttemptEnded)
    assert (attempt.outcome, attempt.error) == ("failed", "exit code 1")
    assert await ended(world) == ("cancelled", STOPPED + LOCKED)


async def test_a_stop_of_a_called_playbook_signals_what_its_caller_does(tmp_path: Path) -> None:
    change = Hanging()
    async with a_world(tmp_path, playbook=(CALLER, CALLED)) as world:
        async with attempt_under_way(world, change):
            await stop(world, "playbook", "mend")
            world.clock.advance(1)
            await until(change.signalled.is_set)
        await world.elapse(90)
        assert (await ended(world))[0] == "cancelled"


async def test_a_stop_of_something_else_signals_nothing(world: World) -> None:
    change = Hanging()
    async with attempt_under_way(world, change):
        await stop(world, "rule", "watched")
        for _ in range(4):
            world.clock.advance(0.5)
            await until(world.clock.at_rest)
        assert not change.signalled.is_set()
        world.look.will("serves", OK)
        change.let_go.set()
    await world.elapse(15)
    assert (await ended(world))[0] == "succeeded"


async def test_a_worker_that_is_shut_down_is_not_taken_for_a_stop(world: World) -> None:
    change = Hanging()
    async with attempt_under_way(world, change) as working:
        await stop(world)
        working.cancel()
        await until(working.done)
        assert working.cancelled()
    assert change.signalled.is_set()
    assert await world.told(events.AttemptEnded) == [], "nobody knows how it ended"


async def test_a_fault_of_an_action_is_its_own_and_not_a_group(world: World) -> None:
    async def broken(_: Call) -> Result:
        raise ZeroDivisionError

    world.mend.will("restart", broken)
    await world.fire()
    row = await world.approval()
    await world.commands.decide(row.id, "approved", plan_hash=row.plan_hash, by=ONCALL)
    with pytest.raises(ZeroDivisionError):
        await world.runs.advance(await world.claimed("run"))


async def test_a_stop_between_approval_and_intent_stops_the_change(world: World) -> None:
    await world.fire()

    async def look(_: Call) -> JsonObject:
        await stop(world, "playbook", "restart")
        return {}

    world.mend.looks = [look]
    await approve(world)
    assert await ended(world) == ("cancelled", STOPPED)
    assert await world.told(events.AttemptIntended) == []
    assert world.mend.calls == []


async def test_an_approval_that_is_waited_for_ends_with_the_stop(world: World) -> None:
    await world.fire()
    assert (await world.incident()).phase == "awaiting_approval"
    await stop(world, "rule", "down")
    await world.settle()
    assert await ended(world) == ("cancelled", STOPPED)


async def test_what_was_done_is_neither_verified_nor_rolled_back(world: World) -> None:
    world.mend.will("restart", OK)
    await world.fire()
    await approve(world)
    assert (await world.incident()).phase == "verifying"
    await stop(world)
    await world.settle()
    assert await ended(world) == ("cancelled", STOPPED + LOCKED)
    assert [what for what, _ in world.mend.calls] == ["restart"]


async def test_after_a_resume_new_runs_go_on_and_the_ended_ones_stay_ended(world: World) -> None:
    await stop(world)
    await world.fire()
    assert await ended(world) == ("cancelled", STOPPED)
    assert world.look.calls == world.mend.calls == []
    await world.commands.resume("all", by=ONCALL)
    await world.settle()
    assert await ended(world) == ("cancelled", STOPPED)
    world.mend.will("restart", mending(world))
    await world.commands.run_playbook("restart", {"host": "gpu-08"}, by=ONCALL)
    await world.settle()
    await approve(world, "by-hand")
    await world.elapse(15)
    assert (await world.incident("by-hand")).outcome == "succeeded"


async def test_an_intent_holds_the_stops_until_its_commit(world: World) -> None:
    await world.fire()
    row = await world.approval()
    await world.commands.decide(row.id, "approved", plan_hash=row.plan_hash, by=ONCALL)
    noting = NotingStore(world.store)
    runs = replace(world.runs, store=cast(Store, noting))
    await runs.advance(await world.claimed("run"))
    intent = events.AttemptIntended.KIND
    assert [each.held_stops for each in noting.seen if intent in each.kinds] == [True]
