"""What a run does next: a pure decision over its folded state, obeyed by a thin worker.

    investigate → plan → look, confirm, guards, ask → steps → verify → (roll back) → end

Nothing here looks at a clock or a database; the point of no return checks again, in the intent's
own transaction, what may have changed since.
"""

from engine.core import events
from engine.core.journal import ENGINE
from engine.core.plan import Plan
from engine.core.run import RunState
from engine.core.run_clearance import before_first_change
from engine.core.run_commands import Command, Ended, Investigate, MakePlan, Record, end
from engine.core.run_endings import roll_back, verify
from engine.core.run_steps import advance, settle_unknown
from engine.core.run_world import World
from engine.core.severity import Mode


def next_command(state: RunState, world: World) -> Command:
    """The one thing to do now."""
    if state.outcome is not None:
        return Ended()
    if world.stopped and not state.cancelled_by and state.verified is not True:
        # Journaled at once: what was stopped never goes on, however soon the stop is lifted.
        return Record(events.RunCancelled(run_id=state.run_id, reason=world.stopped))
    uncertain = settle_unknown(state, world)
    if uncertain is not None:
        return uncertain
    if state.cancelled_by and state.verified is not True:
        # Stopped halfway, a target is in nobody's hands: it stays locked until a person lets go.
        keeps_locks = state.began and state.cancelled_by == ENGINE
        reason = _cancellation(state)
        if keeps_locks and state.plan is not None:
            held = ", ".join(filter(None, state.plan.changed_targets))
            reason += f"; it was under way, so {held} stays locked (`quell locks`)" if held else ""
        return end(state, "cancelled", reason, keeps_locks=keeps_locks)
    if not world.incident_open and not state.began:
        return end(state, "skipped", "the incident cleared before anything was done")
    if state.plan is None:
        return _prepare(state, world)
    return _execute(state, state.plan, world)


def _cancellation(state: RunState) -> str:
    # The engine cancels only what is stopped, and its reason says by whom.
    if state.cancelled_by == ENGINE:
        return state.cancel_reason
    return f"cancelled by {state.cancelled_by}: {state.cancel_reason}"


def _prepare(state: RunState, world: World) -> Command:
    if state.mode is Mode.OBSERVE:
        return MakePlan()
    for step in world.playbook.investigate:
        if step.id not in state.evidence:
            return Investigate(step)
    return MakePlan()


def _execute(state: RunState, plan: Plan, world: World) -> Command:
    if state.mode is Mode.OBSERVE:
        return end(state, "skipped", "observe: this is what would have run")
    if not state.began:
        blocked = before_first_change(state, plan, world)
        if blocked is not None:
            return blocked
    failed = None
    for step in plan.of("steps"):
        command, failed = advance(state, plan, step, world)
        if command is not None:
            return command
        if failed is not None:
            break
    if failed is not None:
        return roll_back(state, plan, world, failed)
    if not state.began:
        return end(state, "skipped", "no step was needed")
    return verify(state, plan, world)
