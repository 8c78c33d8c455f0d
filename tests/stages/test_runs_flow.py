"""The words of a playbook's flow, from the text to what was done."""

from collections.abc import Sequence
from pathlib import Path

from engine.core import events
from engine.core.plan import Plan, PlannedStep
from tests.doubles.scripted import OK
from tests.doubles.world import ONCALL, World, a_world, approve, ended
from tests.doubles.written import RESTART

WAITING = RESTART.replace(
    """    rollback: none
""",
    """    rollback: none
  - {id: settle, wait: 90s}
  - id: warm
    uses: lab.mend
    with: {what: warm, host: '${{ params.host }}'}
    if: steps.settle.outcome == "succeeded"
    rollback: none
""",
)


async def planned(world: World) -> Sequence[PlannedStep]:
    """The steps of the only plan."""
    (event,) = await world.told(events.RunPlanned)
    return Plan.model_validate_json(event.plan).steps


async def test_a_wait_is_a_row_with_a_time_and_holds_no_worker(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=WAITING) as world:
        world.mend.will("restart", OK)
        await world.fire()
        assert "wait 1m30s" in [step.description for step in await planned(world)]
        await approve(world)
        (waiting,) = await world.told(events.StepWaiting)
        (task,) = (await world.tasks("run")).values()
        assert task.not_before == events.moment(waiting.until)
        assert await world.claim("run") is None
        await world.elapse(89)
        assert world.mend.done("warm") == 0
        await world.elapse(1)
        assert world.mend.done("warm") == 1


async def test_a_cancellation_ends_a_wait_at_once(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=WAITING) as world:
        await world.fire()
        await approve(world)
        await world.commands.cancel_run((await world.incident()).run_id, by=ONCALL)
        await world.settle()
        assert (await ended(world))[0] == "cancelled"
        assert world.mend.done("warm") == 0
