"""A step that only lets time pass: a timer that outlives every process, and holds no worker."""

from datetime import timedelta

from engine.core import events
from engine.core.plan import PlannedStep
from engine.core.run import RunState
from engine.core.run_commands import Command, Record, Wait
from engine.core.run_world import World


def wait_out(state: RunState, step: PlannedStep, world: World) -> Command:
    """Begin the wait, let it pass, or say that it is over."""
    waits_until = state.step(step.phase, step.id).waits_until
    if waits_until is None:
        until = world.now + timedelta(seconds=step.wait_s)
        return Record(
            events.StepWaiting(
                run_id=state.run_id, phase=step.phase, step_id=step.id, until=until.isoformat()
            )
        )
    if world.now < waits_until:
        return Wait(waits_until, f"{step.id}: {step.description}")
    return Record(done(state, step))


def done(state: RunState, step: PlannedStep) -> events.StepObserved:
    """That a step is over which calls no action."""
    return events.StepObserved(
        run_id=state.run_id,
        phase=step.phase,
        step_id=step.id,
        outcome="succeeded",
        description=step.description,
        duration_s=step.wait_s,
    )
