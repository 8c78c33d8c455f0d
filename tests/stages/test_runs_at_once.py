"""What stands side by side is done at once, and ends together, whatever happens to a part of it."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from engine.core import events
from engine.core.actions import Call, ProbeAnswer, Result
from engine.core.json_value import JsonObject
from engine.errors import TransientError
from engine.stages.runs import Pace
from tests.doubles.scripted import FAILED, OK, Hanging
from tests.doubles.virtual_time import DEADLINE_S, until
from tests.doubles.world import (
    LEASE_S,
    ONCALL,
    a_world,
    approve,
    ended,
    under_way,
    what_was_done,
)
from tests.doubles.written import RESTART

BOTH = RESTART.replace(
    RESTART[RESTART.index("steps:") : RESTART.index("verify:")],
    """steps:
  - id: both
    parallel:
      - id: drain
        uses: lab.mend
        with: {what: drain, host: gpu-07}
        rollback:
          - {id: undrain, uses: lab.mend, with: {what: undrain, host: gpu-07}}
      - id: other
        steps:
          - id: restart
            uses: lab.mend
            with: {what: restart, host: gpu-08}
            retry: {attempts: 2, wait: 3s}
            rollback:
              - {id: start, uses: lab.mend, with: {what: start, host: gpu-08}}
          - id: warm
            uses: lab.mend
            with: {what: warm, host: gpu-08}
            rollback: none
  - id: after
    uses: lab.mend
    with: {what: after, host: gpu-07}
    rollback: none
""",
)
FLEET = RESTART.replace(
    RESTART[RESTART.index("steps:") : RESTART.index("verify:")],
    """steps:
  - id: each
    foreach: {in: [gpu-07, gpu-08], as: node, serial: 2, stop_after_failures: 2}
    steps:
      - id: restart
        uses: lab.mend
        with: {what: restart, host: '${{ node }}'}
        rollback: none
      - {id: settle, wait: 30s}
      - id: warm
        uses: lab.mend
        with: {what: warm, host: '${{ node }}'}
        rollback: none
""",
)


def meeting(parties: int) -> asyncio.Barrier:
    """Changes that end only once so many are under way."""
    return asyncio.Barrier(parties)


async def test_branches_are_done_at_once_and_what_follows_waits_for_all(tmp_path: Path) -> None:
    met = meeting(2)

    async def meet(_: Call) -> Result:
        async with met:
            return OK

    async with a_world(tmp_path, playbook=BOTH) as world:
        world.mend.will("drain", meet)
        world.mend.will("restart", meet)
        await world.fire()
        await approve(world)
        await world.elapse(600)
        assert (await ended(world))[0] == "partial", "its proof is bad, so it goes back"
        done = what_was_done(world)
        assert set(done[:2]) == {"drain gpu-07", "restart gpu-08"}
        assert done[2:] == ["warm gpu-08", "after gpu-07", "start gpu-08", "undrain gpu-07"]


async def test_a_branch_goes_on_while_another_takes_its_time(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=BOTH) as world:
        drain = Hanging()
        world.mend.will("drain", drain)
        async with under_way(world, drain):
            await until(lambda: world.mend.done("warm") == 1)
            assert world.mend.done("after") == 0
            drain.let_go.set()
        assert world.mend.done("after") == 1


async def test_after_a_failure_nothing_more_begins_and_what_is_under_way_ends_first(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, playbook=BOTH) as world:
        drain, restart = Hanging(comes_to=FAILED), Hanging()
        world.mend.will("drain", drain)
        world.mend.will("restart", restart)
        async with under_way(world, drain, restart):
            drain.let_go.set()
            await until(lambda: drain.ended == 1 and world.clock.at_rest())
            assert world.mend.done("undrain") == 0, "restart is still under way"
            restart.let_go.set()
        assert what_was_done(world)[2:] == ["start gpu-08", "undrain gpu-07"]


async def test_a_failure_keeps_from_beginning_what_was_about_to(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=BOTH) as world:
        looked = asyncio.Event()

        async def look(_: Call) -> JsonObject:
            await looked.wait()
            return {"started": "1"}

        drain = Hanging(comes_to=FAILED)
        world.mend.will("drain", drain)
        world.mend.looks = [{"started": "1"}, look]
        async with under_way(world, drain):
            drain.let_go.set()
            async with asyncio.timeout(DEADLINE_S):
                while not await world.told(events.AttemptEnded):
                    await asyncio.sleep(0)
            looked.set()
        assert what_was_done(world) == ["drain gpu-07", "undrain gpu-07"]


@pytest.mark.parametrize("order", ["stop", "cancel"])
async def test_a_stop_and_a_cancellation_signal_all_of_it(tmp_path: Path, order: str) -> None:
    async with a_world(tmp_path, playbook=BOTH) as world:
        drain, restart = Hanging(FAILED), Hanging(FAILED)
        world.mend.will("drain", drain)
        world.mend.will("restart", restart)
        async with under_way(world, drain, restart):
            if order == "stop":
                await world.commands.stop("all", "", by=ONCALL, reason="wrong region")
            else:
                await world.commands.cancel_run((await world.incident()).run_id, by=ONCALL)
            world.clock.advance(1)
            await until(lambda: drain.signalled.is_set() and restart.signalled.is_set())
        story = [type(each) for each in await world.story(await world.incident())]
        assert story.count(events.AttemptEnded) >= 2
        assert (await ended(world))[0] == "cancelled"
        back = ["start gpu-08", "undrain gpu-07"] if order == "cancel" else []
        assert what_was_done(world)[2:] == back


async def test_a_crash_leaves_both_to_their_bound_and_each_is_looked_at_once(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, playbook=BOTH) as world:
        world.mend.probes = [ProbeAnswer.DONE]
        drain, restart = Hanging(), Hanging()
        world.mend.will("drain", drain)
        world.mend.will("restart", restart)
        async with under_way(world, drain, restart) as working:
            working.cancel()
        assert await world.told(events.AttemptEnded) == []
        world.look.will("serves", OK)
        world.clock.advance(LEASE_S)
        await world.elapse(400)
        assert sorted(call.prepared.targets for call, _ in world.mend.probed) == [
            ("gpu-07",),
            ("gpu-08",),
        ]
        assert (await ended(world))[0] == "succeeded"
        assert what_was_done(world)[2:] == ["warm gpu-08", "after gpu-07"]


async def test_a_repeat_comes_in_its_time_beside_what_is_under_way(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=BOTH) as world:
        drain = Hanging()
        world.mend.will("drain", drain)
        world.mend.will("restart", TransientError("refused"), OK)
        async with under_way(world, drain):
            again = world.clock.at + timedelta(seconds=3)
            await until(lambda: again in world.clock.wakes)
            world.clock.advance(2.9)
            await until(world.clock.at_rest)
            assert world.mend.done("restart") == 1
            world.clock.advance(0.1)
            await until(lambda: world.mend.done("warm") == 1)
            drain.let_go.set()
        assert world.mend.done("restart") == 2


async def test_a_worker_that_is_to_end_begins_nothing_more_in_any_branch(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=BOTH) as world:
        drain, restart = Hanging(), Hanging()
        world.mend.will("drain", drain)
        world.mend.will("restart", restart)
        paces: list[Pace] = ["on"]
        async with under_way(world, drain, restart, pace=lambda: paces[-1]):
            paces.append("stopping")
            restart.let_go.set()
            await until(lambda: restart.ended == 1 and world.clock.at_rest())
            drain.let_go.set()
        assert [each.outcome for each in await world.told(events.AttemptEnded)] == ["succeeded"] * 2
        assert world.mend.done("warm") == 0


async def test_the_items_of_a_batch_are_done_at_once_step_by_step(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=FLEET) as world:
        first, second = Hanging(), Hanging()
        world.mend.will("restart", first, second)
        async with under_way(world, first, second):
            second.let_go.set()
            first.let_go.set()
        await world.elapse(30)
        assert sorted(what_was_done(world)) == [
            "restart gpu-07",
            "restart gpu-08",
            "warm gpu-07",
            "warm gpu-08",
        ]
