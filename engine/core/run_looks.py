"""Looks at what must hold: how long it held, and a step that waits until it does."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from engine.core.plan import PlannedStep
from engine.core.run import Look, RunState
from engine.core.run_commands import Read, Wait
from engine.core.run_world import World


def held(step: PlannedStep, looks: Sequence[Look]) -> bool:
    """Whether the unbroken row of good looks at the end is as long as the step wants."""
    since: datetime | None = None
    for look in reversed(looks):
        if not look.holds:
            break
        since = look.at
    return since is not None and looks[-1].at - since >= timedelta(seconds=step.stable_for_s)


def look_again(
    state: RunState, step: PlannedStep, world: World
) -> tuple[Read | Wait | None, PlannedStep | None]:
    """(what to do for a step that looked and waits, None) or (None, the step if it never held).

    Its time counts from its first look.
    """
    looks = state.looks[step.id]
    if held(step, looks):
        return None, None
    until = looks[0].at + timedelta(seconds=step.within_s + step.stable_for_s)
    if world.now >= until and (not looks[-1].holds or looks[-1].at >= until):
        return None, step
    due = looks[-1].at + timedelta(seconds=step.every_s)
    if world.now < due:
        return Wait(due, f"waiting until {step.id} holds"), None
    return Read(step, "steps"), None
