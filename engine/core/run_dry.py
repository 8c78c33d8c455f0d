"""A run that a person ordered and that may change nothing: it looks, and tells what would come."""

from engine.core.plan import Plan
from engine.core.run import RunState
from engine.core.run_clearance import read_before, stale_look
from engine.core.run_commands import Command, end
from engine.core.run_world import World
from engine.core.severity import DRY_RUN, Mode


def is_dry(state: RunState, world: World) -> bool:
    """Whether it looks without changing; a rule's run in observe doesn't even look."""
    return state.mode is Mode.OBSERVE and world.incident.by_hand


def look_only(state: RunState, plan: Plan, world: World) -> Command:
    """Each look that stands before the first change, once; then the end."""
    missing = stale_look(state, plan.of("verify", "guards"), None)
    if missing is not None:
        return read_before(missing)
    return end(state, "skipped", f"dry run, nothing was changed; {_next(state, plan, world)}")


def _next(state: RunState, plan: Plan, world: World) -> str:
    if state.mode_decided_by != DRY_RUN.decided_by:
        return f"it would change nothing either, as {state.mode_decided_by} says"
    if not plan.of("steps"):
        return "there is no step that it would do"
    if state.precheck and all(look.holds for look in state.precheck.values()):
        return "it would do nothing, because the verification holds already"
    refusal = world.refusal
    if refusal is not None:
        what = "wait" if refusal.waits else "be skipped"
        return f"it would {what} now: {refusal.reason}"
    why = f", because {world.asks}" if world.asks else ""
    return f"it would ask {', '.join(plan.approval_from)} to approve{why}"
