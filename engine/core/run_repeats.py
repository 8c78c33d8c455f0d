"""Whether a step is tried again, and whether one has failed for good."""

from collections.abc import Sequence
from datetime import timedelta

from engine.core.plan import PlannedStep
from engine.core.run import Look, RunState, StepState

# As far as is known.
FAILED = ("failed", "unknown")
# How many interrupted attempts of a step may be made up for, beside its retries.
MAX_EXCUSED = 2


def may_repeat(step: PlannedStep, known: StepState) -> bool:
    """Whether a step that failed, or whose outcome is unknown, is tried again."""
    if known.outcome not in FAILED:
        return False
    counted = known.attempts - min(known.excused, MAX_EXCUSED)
    safe = known.repeatable or (known.outcome == "unknown" and step.repeat in ("harmless", "keyed"))
    return step.changes and safe and counted < max(step.retry_attempts, 1)


def _looks_again(step: PlannedStep, looks: Sequence[Look]) -> bool:
    """Whether a step that waits until it holds has time for another look."""
    if not step.until or not looks:
        return False
    over = looks[0].at + timedelta(seconds=step.within_s + step.stable_for_s)
    return looks[-1].at + timedelta(seconds=step.every_s) < over


def is_lost(step: PlannedStep, known: StepState) -> bool:
    """Whether a step that is required failed, or may have, and isn't tried again."""
    return step.required and known.outcome in FAILED and not may_repeat(step, known)


def has_failed(state: RunState) -> bool:
    """Whether a step that is required failed, as far as is known, or came too late.

    One that is to be tried again, or looks again, hasn't failed yet: a branch beside it may ask
    meanwhile.
    """
    if state.plan is None:
        return False
    return bool(state.late) or any(
        known.outcome in FAILED and (bool(state.cancelled_by) or not may_repeat(step, known))
        for step in state.plan.of("steps")
        if step.required and not _looks_again(step, state.looks.get(step.id, ()))
        for known in (state.step("steps", step.id),)
    )
