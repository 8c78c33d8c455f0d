"""Batches of a `foreach`: which one a run comes to next, and what is touched while it is done."""

from engine.core.plan import Plan, PlannedStep
from engine.core.run import RunState
from engine.core.run_repeats import is_lost, may_repeat


def begins_batch(state: RunState, plan: Plan, step: PlannedStep) -> bool:
    """Whether the step is of a batch in which nothing was changed yet."""
    return step.batch != "" and not any(
        state.step("steps", each.id).attempts
        for each in plan.of("steps")
        if each.batch == step.batch
    )


def next_change(state: RunState, plan: Plan) -> PlannedStep | None:
    """The first of the plan's changes that wasn't begun yet, or is attempted again."""
    for step in plan.of("steps"):
        known = state.step("steps", step.id)
        if step.changes and (known.outcome == "pending" or may_repeat(step, known)):
            return step
    return None


def touched_in(plan: Plan, batch: str) -> frozenset[str]:
    """The targets that a plan may make unavailable in a batch, and outside of batches at any time.

    "" stands for a target that nobody knows.
    """
    steps = [each for each in plan.steps if each.changes and each.batch in ("", batch)]
    found = frozenset(target for each in steps for target in each.may_lose)
    is_none = bool(steps) and all(each.affects is not None for each in steps)
    return found if found or is_none else frozenset(plan.changed_targets)


def touched_by_batch(plan: Plan) -> tuple[frozenset[str], ...]:
    """The same of each batch, in their order; one for all where there is no batch."""
    batches = dict.fromkeys(each.batch for each in plan.steps if each.changes and each.batch)
    return tuple(touched_in(plan, each) for each in batches or ("",))


def touched_with(state: RunState, plan: Plan, step: PlannedStep | None) -> frozenset[str]:
    """The targets that this run may make unavailable at once while it does this step.

    They are those of its batch and of items that failed, and those outside of batches at any time.
    """
    found = set(touched_in(plan, step.batch if step is not None else ""))
    for each in plan.steps:
        if each.changes and is_lost(each, state.step(each.phase, each.id)):
            found |= set(each.may_lose)
    return frozenset(found)
