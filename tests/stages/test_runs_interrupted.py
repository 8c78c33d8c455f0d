"""An attempt whose end nobody saw is left alone until it is over, then looked at."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from engine.core import events
from engine.core.actions import Call, ProbeAnswer, Repeat, Result
from engine.core.reporting import BEGIN_WITHIN, CLEAN_UP
from engine.errors import FencedError, OutcomeUnknownError, TransientError
from engine.stages.runs import Pace
from tests.doubles.scripted import OK, never
from tests.doubles.virtual_time import until
from tests.doubles.world import LEASE_S, ONCALL, World, a_world, approve, ended, mending
from tests.doubles.written import MORE_STEPS

RESTART_S = 60
PROBED: dict[str, tuple[ProbeAnswer | Exception, str, int]] = {
    "done": (ProbeAnswer.DONE, "succeeded", 1),
    "not done, which costs no retry": (ProbeAnswer.NOT_DONE, "succeeded", 2),
    "cannot tell": (ProbeAnswer.CANNOT_TELL, "unknown", 1),
    "the probe fails": (TransientError("no route"), "unknown", 1),
}


@pytest.mark.parametrize(("answer", "outcome", "done"), PROBED.values(), ids=PROBED)
async def test_an_unknown_outcome_is_probed_once_nothing_can_be_under_way(
    world: World, answer: ProbeAnswer | Exception, outcome: str, done: int
) -> None:
    world.mend.probes = [answer]
    world.mend.will("restart", OutcomeUnknownError("cut off"), mending(world))
    await world.fire()
    await approve(world)
    assert world.mend.probed == []
    await world.elapse(RESTART_S + (BEGIN_WITHIN + CLEAN_UP).total_seconds() + 4)
    assert world.mend.probed == []
    if answer is ProbeAnswer.DONE:
        world.look.will("serves", OK)
    await world.elapse(60)
    ((call, before),) = world.mend.probed
    assert (call.attempt_id, before) == (world.mend.calls[0][1].attempt_id, {"started": "1"})
    assert (await ended(world))[0] == outcome
    assert world.mend.done("restart") == done


@pytest.mark.parametrize(("pace", "waits_s"), [("stopping", 0), ("waiting", 5)])
async def test_a_worker_that_is_to_pause_ends_what_it_began_and_begins_nothing_more(
    tmp_path: Path, pace: Pace, waits_s: float
) -> None:
    async with a_world(tmp_path, playbook=MORE_STEPS) as world:
        paces: list[Pace] = ["on"]

        async def restart(_: Call) -> Result:
            paces.append(pace)
            return OK

        world.mend.will("restart", restart)
        await world.fire()
        row = await world.approval()
        await world.commands.decide(row.id, "approved", plan_hash=row.plan_hash, by=ONCALL)
        stage = replace(world.runs, pace=lambda: paces[-1])
        await stage.advance(await world.claimed("run"))
        assert [each.outcome for each in await world.told(events.AttemptEnded)] == ["succeeded"]
        assert [what for what, _ in world.mend.calls] == ["restart"]
        # Whoever comes next, who may be the same, gets no further.
        if waits_s:
            assert await world.claim("run") is None
        world.clock.advance(waits_s)
        await stage.advance(await world.claimed("run"))
        assert len(await world.told(events.AttemptIntended)) == 1
        await world.elapse(waits_s)
        assert [what for what, _ in world.mend.calls][:2] == ["restart", "warm"]


async def test_what_surely_never_began_is_tried_again_after_the_wait(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=MORE_STEPS) as world:
        world.mend.will("restart", TransientError("refused"), mending(world))
        await world.fire()
        await approve(world)
        assert world.mend.done("restart") == 1
        await world.elapse(6)
        assert world.mend.done("restart") == 2
        numbers = [each.number for each in await world.told(events.AttemptIntended)]
        assert numbers[:2] == [1, 2]
        attempts = [call.attempt_id for what, call in world.mend.calls if what == "restart"]
        assert len(set(attempts)) == 2


async def test_a_repeat_after_a_long_wait_looks_again_whether_it_is_needed(world: World) -> None:
    world.mend.probes = [ProbeAnswer.NOT_DONE]
    world.mend.will("restart", OutcomeUnknownError("cut off"), mending(world))
    await world.fire()
    await approve(world)
    world.look.will("serves", OK)
    await world.elapse(2 * 60)
    assert await ended(world) == ("not_needed", "the verification holds already")
    assert world.mend.done("restart") == 1


async def test_a_resolution_before_a_repeat_ends_the_run_skipped(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=MORE_STEPS) as world:
        world.mend.will("restart", TransientError("refused"), mending(world))
        await world.fire()
        await approve(world)
        world.clock.advance(2)
        await world.resolve()
        assert (await ended(world))[0] == "skipped"
        assert [what for what, _ in world.mend.calls] == ["restart"]


async def test_an_interrupted_run_is_taken_up_after_its_lease_and_probed_when_safe(
    world: World,
) -> None:
    world.mend.will("restart", never)
    await world.fire()
    row = await world.approval()
    await world.commands.decide(row.id, "approved", plan_hash=row.plan_hash, by=ONCALL)
    task = await world.claimed("run", worker="first")
    async with asyncio.TaskGroup() as group:
        working = group.create_task(world.runs.advance(task))
        await until(lambda: world.mend.done("restart") == 1)
        working.cancel()
    (intent,) = await world.told(events.AttemptIntended)
    assert await world.told(events.AttemptEnded) == []
    assert await world.claim("run", worker="second") is None

    world.clock.advance(LEASE_S)
    world.look.will("serves", OK)
    await world.runs.advance(await world.claimed("run", worker="second"))
    safe_at = events.moment(intent.not_after) + timedelta(seconds=5)
    assert (await world.tasks("run"))[task.id].not_before == safe_at
    assert world.mend.probed == []

    world.clock.at = safe_at
    await world.settle()
    ((call, before),) = world.mend.probed
    assert (call.attempt_id, before) == (intent.attempt_id, intent.before)
    await world.elapse(15)
    assert (await ended(world))[0] == "succeeded"
    assert world.mend.done("restart") == 1


async def test_who_lost_the_lease_appends_nothing(world: World) -> None:
    async def overtaken(_: Call) -> Result:
        world.clock.advance(LEASE_S)
        assert await world.claim("run", worker="second") is not None
        return OK

    world.mend.will("restart", overtaken)
    await world.fire()
    row = await world.approval()
    await world.commands.decide(row.id, "approved", plan_hash=row.plan_hash, by=ONCALL)
    with pytest.raises(FencedError):
        await world.runs.advance(await world.claimed("run", worker="first"))
    assert len(await world.told(events.AttemptIntended)) == 1
    assert await world.told(events.AttemptEnded) == []


async def test_what_may_have_happened_once_is_undone_though_its_repeat_never_began(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, playbook=MORE_STEPS) as world:
        world.mend.repeat = Repeat.KEYED
        world.mend.will("restart", OutcomeUnknownError("cut off"), TransientError("refused"))
        await world.fire()
        await approve(world)
        await world.elapse(5 * 60)
        *restarts, last = world.mend.calls
        assert [what for what, _ in restarts] == ["restart"] * 3
        assert len({call.attempt_id for _, call in restarts}) == 1
        assert last[0] == "undo"
