"""Steps of a called playbook that are left out, with the call or because it never began."""

from engine.core.plan import Plan, PlannedStep
from engine.core.run import RunState


def left_out(state: RunState, plan: Plan, step: PlannedStep) -> str:
    """Why a step isn't begun although its turn has come; "" where it is."""
    place = step.place
    if place is None:
        return ""
    if place.gate and state.step("steps", place.gate).outcome == "skipped":
        return f"{place.gate} is skipped"
    if step.phase == "on_cancel" and place.frame and not _began(state, plan, place.frame):
        return f"{place.frame.removesuffix('/')} had not begun"
    return ""


def _began(state: RunState, plan: Plan, frame: str) -> bool:
    return any(
        state.step("steps", each.id).may_have_happened
        for each in plan.of("steps")
        if each.id.startswith(frame)
    )
