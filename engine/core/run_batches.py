"""Batches of a `foreach`: which one a run comes to next, and what is touched while it is done."""

from engine.core.plan import Plan, PlannedStep
from engine.core.run import RunState


def begins_batch(state: RunState, plan: Plan, step: PlannedStep) -> bool:
    """Whether the step is of a batch in which nothing was changed yet."""
    return step.batch != "" and not any(
        state.step("steps", each.id).attempts
        for each in plan.of("steps")
        if each.batch == step.batch
    )


def next_change(state: RunState, plan: Plan) -> PlannedStep | None:
    """The first of the plan's changes of which nothing was begun yet."""
    for step in plan.of("steps"):
        if step.changes and state.step("steps", step.id).outcome == "pending":
            return step
    return None


def touched_with(state: RunState, plan: Plan, step: PlannedStep | None) -> frozenset[str]:
    """The targets that this run may make unavailable at once while it does this step.

    They are those of its batch and of items that failed, and those that are changed outside of
    batches at any time. "" stands for a target that nobody knows.
    """
    batch = step.batch if step is not None else ""
    found = set[str]()
    for each in plan.steps:
        ended = state.step(each.phase, each.id).outcome
        is_lost = each.required and ended in ("failed", "unknown")
        if each.changes and (each.batch in ("", batch) or is_lost):
            found |= set(each.targets)
    return frozenset(found) or frozenset(plan.changed_targets)
