"""What only looks tells what it saw, and what it could not see."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.core import events
from engine.core.actions import ProbeAnswer
from engine.core.plan import Plan
from engine.core.playbook import Playbook
from engine.core.run_commands import Confirm, MakePlan, Probe, Read
from engine.core.still_firing import Confirmation
from engine.errors import PermanentError, TransientError
from engine.ports.confirming import Confirming
from engine.ports.looking import Looking
from engine.ports.run_look import Seen, look
from tests.doubles.scripted import BAD, OK
from tests.doubles.world import World, a_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """One with a run that has its plan and waits for approval."""
    async with a_world(tmp_path) as opened:
        await opened.fire()
        yield opened


async def seen(world: World) -> tuple[Looking, Seen, Playbook, Plan]:
    actions = {each.declaration.name: each for each in (world.look, world.mend, world.query)}
    confirming = Confirming({world.source.name: world.source}, world.clock)
    looking = Looking(world.store, world.clock, world.catalogs, actions, confirming)
    (task,) = (await world.tasks("run")).values()
    world.clock.at = task.not_before
    claimed = await world.claimed("run")
    now = await world.store.write(lambda tx: look(tx, claimed, None, world.catalogs.active))
    assert now.state.plan is not None
    return looking, now, world.catalogs.active.playbooks["restart"], now.state.plan


@pytest.mark.parametrize(
    ("end", "outcome", "holds", "error"),
    [
        pytest.param(OK, "succeeded", True, "", id="it holds"),
        pytest.param(BAD, "succeeded", False, "result.ok is false", id="it doesn't"),
        pytest.param(TransientError("no route"), "failed", False, "no route", id="no answer"),
        pytest.param(PermanentError("no such host"), "failed", False, "no such host", id="never"),
    ],
)
async def test_a_read_tells_whether_it_holds_and_is_never_raised(
    world: World, end: object, outcome: str, holds: bool, error: str
) -> None:
    looking, now, playbook, plan = await seen(world)
    world.look.will("serves", end)  # type: ignore[arg-type]
    (found,) = await looking.found(now, playbook, Read(plan.of("verify")[0], "precheck"))
    assert isinstance(found, events.StepObserved)
    assert (found.phase, found.outcome, found.holds) == ("precheck", outcome, holds)
    assert error in found.error


async def test_the_source_is_asked_about_what_fires(world: World) -> None:
    looking, now, playbook, _ = await seen(world)
    world.source.answers = [Confirmation("resolved", "source", "nothing fires")]
    (found,) = await looking.found(now, playbook, Confirm())
    assert isinstance(found, events.StillFiringAsked)
    assert (found.answer, found.detail) == ("resolved", "nothing fires")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(ProbeAnswer.DONE, ("done", ""), id="done"),
        pytest.param(TransientError("no route"), ("cannot_tell", "no route"), id="no answer"),
    ],
)
async def test_a_probe_that_fails_cannot_tell(
    world: World, answer: ProbeAnswer | Exception, told: tuple[str, str]
) -> None:
    looking, now, playbook, plan = await seen(world)
    world.mend.probes = [answer]
    step = plan.of("steps")[0]
    intent = events.AttemptIntended(
        run_id=now.state.run_id,
        attempt_id="attempt",
        phase="steps",
        step_id=step.id,
        number=1,
        description=step.description,
        effect="change",
        targets=step.targets,
        not_after=now.now.isoformat(),
    )
    (found,) = await looking.found(now, playbook, Probe(step, intent))
    assert isinstance(found, events.AttemptProbed)
    assert (found.answer, found.evidence) == told


async def test_a_plan_that_cant_be_made_ends_the_run(world: World) -> None:
    looking, now, playbook, plan = await seen(world)
    (planned,) = await looking.found(now, playbook, MakePlan())
    assert isinstance(planned, events.RunPlanned)
    assert Plan.model_validate_json(planned.plan) == plan

    class NoAction:
        declaration = world.mend.declaration

        def prepare(self, *_: object) -> None:
            raise PermanentError("no such host")

    broken = Looking(
        looking.store,
        looking.clock,
        looking.catalogs,
        {**looking.actions, "lab.mend": NoAction()},  # type: ignore[dict-item]
        looking.confirming,
    )
    (ended,) = await broken.found(now, playbook, MakePlan())
    assert isinstance(ended, events.RunEnded)
    assert (ended.outcome, ended.changed) == ("failed", False)
    assert "no such host" in ended.reason
