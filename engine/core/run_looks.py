"""Looks at what must hold: how long it held, and a step that waits until it does."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from engine.core.plan import PlannedStep
from engine.core.run import Look
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


def look_on(
    step: PlannedStep, looks: Sequence[Look], since: datetime, world: World
) -> Read | Wait | Literal["held", "failed"]:
    """What comes next for a step that looks until it holds, its time counting from `since`."""
    if held(step, looks):
        return "held"
    until = since + timedelta(seconds=step.within_s + step.stable_for_s)
    if world.now >= until and (not looks or not looks[-1].holds or looks[-1].at >= until):
        return "failed"
    due = looks[-1].at + timedelta(seconds=step.every_s) if looks else world.now
    if world.now < due:
        return Wait(due, f"waiting until {step.id} holds")
    return Read(step, step.phase)
