"""What follows from an entry of a run before anything is read or done is in that one's commit."""

from dataclasses import replace
from pathlib import Path
from typing import cast

from engine.core import events
from engine.core.actions import Call, Repeat, Result
from engine.ports.store import Store
from engine.ports.telling import FOLLOW_AT_MOST
from engine.stages.runs import Pace
from tests.doubles.noting import NotingStore
from tests.doubles.scripted import OK
from tests.doubles.world import World, a_world, ended, mending
from tests.doubles.written import RESTART

PASSED_OVER = RESTART.replace(
    "verify:\n",
    "".join(
        f"""  - id: later_{number}
    uses: lab.mend
    with: {{what: later, host: '${{{{ params.host }}}}'}}
    if: 'false'
    rollback: none
"""
        for number in range(2 * FOLLOW_AT_MOST)
    )
    + "verify:\n",
)


async def told_by(world: World, *, pace: Pace = "on") -> list[list[str]]:
    """What the run's next turn journals, a list for each commit."""
    noting = NotingStore(world.store)
    task = await world.claimed("run")
    await replace(world.runs, store=cast(Store, noting), pace=lambda: pace).advance(task)
    return [tx.kinds for tx in noting.seen if tx.kinds]


def kinds(*of: type[events.Event]) -> list[str]:
    return [each.KIND for each in of]


async def test_a_run_ends_in_the_commit_of_what_proved_it_and_leaves_no_task(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, mode="auto", playbook=RESTART) as world:
        world.mend.will("restart", mending(world))
        await world.fire()
        world.clock.advance(10)
        last = (await told_by(world))[-1]
        assert last == kinds(events.StepObserved, events.VerificationEnded, events.RunEnded)
        assert (await ended(world))[0] == "succeeded"
        assert await world.tasks("run") == {}


async def test_the_verification_begins_in_the_commit_of_the_last_outcome(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto", playbook=RESTART) as world:
        world.mend.repeat = Repeat.HARMLESS
        world.mend.will("restart", mending(world))
        await world.intake.accept("alertmanager", [world.alert()], 0)
        await world.consume()
        assert kinds(events.AttemptEnded, events.VerificationStarted) in await told_by(world)


async def test_a_process_that_is_about_to_end_journals_what_it_has_begun_alone(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, mode="auto", playbook=RESTART) as world:
        paces: list[Pace] = ["on"]

        async def mend(_: Call) -> Result:
            paces.append("stopping")
            return OK

        world.mend.will("restart", mend)
        await world.intake.accept("alertmanager", [world.alert()], 0)
        await world.consume()
        task = await world.claimed("run")
        await replace(world.runs, pace=lambda: paces[-1]).advance(task)
        assert len(await world.told(events.AttemptEnded)) == 1
        assert await world.told(events.VerificationStarted) == []
        await world.settle()
        assert len(await world.told(events.VerificationStarted)) == 1


async def test_a_long_row_of_entries_takes_several_commits(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto", playbook=PASSED_OVER) as world:
        world.mend.will("restart", mending(world))
        await world.intake.accept("alertmanager", [world.alert()], 0)
        await world.consume()
        lengths = [len(each) for each in await told_by(world)]
        assert len(await world.told(events.StepSkipped)) == 2 * FOLLOW_AT_MOST
        assert max(lengths) == FOLLOW_AT_MOST
