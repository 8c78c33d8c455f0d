"""How a run ends: the verification, the rollback, and what is said at the end."""

from collections.abc import Sequence
from datetime import timedelta

from engine.core import events
from engine.core.durations import format_duration
from engine.core.evaluating import known_to
from engine.core.outputs import given
from engine.core.plan import Plan, PlannedStep
from engine.core.run import RunState
from engine.core.run_commands import NOTHING_UNDONE, Command, Record, Undone, Wait, end
from engine.core.run_looks import look_on
from engine.core.run_loops import Failures
from engine.core.run_steps import advance, deadline, deadline_words
from engine.core.run_world import World


def verify(state: RunState, plan: Plan, world: World, failures: Failures) -> Command:
    """What proves that it worked; a verification that failed rolls back."""
    if state.verified is False:
        return roll_back(state, plan, world, None)
    if state.verified is True:
        return _proven(state, plan, world, failures)
    if state.undoes:
        return end(state, "succeeded", "what the run before did is taken back")
    if state.verifying_since is None:
        return Record(events.VerificationStarted(run_id=state.run_id))
    due, since = deadline(state, plan), state.verifying_since
    for step in plan.of("verify"):
        looks = state.looks.get(step.id, ())
        found = look_on(step, looks, since, world)
        if found == "held":
            since = looks[-1].at  # the time of each begins when the one before it held
            continue
        if found == "failed":
            return _verification(
                state, holds=False, reason=f"{step.id} did not hold within {step.within_s:g} s"
            )
        if due is not None and world.now >= due:
            reason = f"{deadline_words(plan)} before {step.id} held"
            return _verification(state, holds=False, reason=reason)
        if isinstance(found, Wait):
            return Wait(min(found.until, due or found.until), f"verifying {step.id}")
        return found
    return _verification(state, holds=True, reason="every verification held")


def _proven(state: RunState, plan: Plan, world: World, failures: Failures) -> Record:
    reason = state.verification_reason or "the verification held"
    if failures.lost:
        outcome, lost = failures.told(state)
        return end(state, outcome, f"{reason}, but {lost}")
    if plan.revert_after_s is not None:
        span = format_duration(timedelta(seconds=plan.revert_after_s))
        reason += f"; it is taken back after {span}"
    if plan.keep:
        reason += f"; what it changed stays: {plan.keep}"
    known = known_to(state, world.incident, world.inventory)
    gives = given(world.playbook.outputs, known)
    ended = end(state, "succeeded", "; ".join((reason, *gives.lacking)))
    return Record(ended.event.model_copy(update={"outputs": gives.values}))


def _verification(state: RunState, *, holds: bool, reason: str) -> Record:
    return Record(events.VerificationEnded(run_id=state.run_id, holds=holds, reason=reason))


def undo(state: RunState, plan: Plan, world: World) -> Command | Undone:
    """The next thing that undoes, in reverse, what was or may have been done; then what it came to.

    A part that fails keeps no other from being undone.
    """
    undone: list[str] = []
    kept: list[str] = []
    left: list[str] = []
    failed: list[str] = []
    for done in reversed(changes_of(state, plan)):
        undoing = [step for step in plan.of("rollback") if step.undoes == done.id]
        broken: list[str] = []
        for step in undoing:
            command, badly = advance(state, plan, step, world)
            if command is not None:
                return command
            if badly is not None:
                broken.append(badly.id)
        failed += broken
        if undoing and not broken:
            undone.append(done.id)
        else:
            left.append(done.id)
            if not undoing and state.step("steps", done.id).outcome == "succeeded":
                kept.append(done.id)
    return Undone(tuple(undone), tuple(reversed(kept)), tuple(reversed(left)), tuple(failed))


def changes_of(state: RunState, plan: Plan) -> Sequence[PlannedStep]:
    """The steps of the plan that changed something, or may have, in their order."""
    return [step for step in plan.of("steps") if state.step("steps", step.id).may_have_happened]


def roll_back(state: RunState, plan: Plan, world: World, failed: PlannedStep | None) -> Command:
    """Undo it, then end with what is left; `failed` is the step that failed, if one did."""
    found = undo(state, plan, world)
    if not isinstance(found, Undone):
        return found
    outcome: events.RunOutcome = "failed"
    if failed is None and not state.late:
        reason = state.verification_reason
        if found.failed or (found.undone and found.kept):
            outcome = "partial"
    else:
        reason = state.late
        if failed is not None:
            known = state.step(failed.phase, failed.id)
            reason = f"step {failed.id}: {known.error or known.outcome}"
            outcome = "unknown" if known.outcome == "unknown" else outcome
        if outcome != "unknown" and (found.kept or found.failed):
            outcome = "partial"
    if state.undoes:
        found = NOTHING_UNDONE  # what it did take back isn't to be undone
    return end(state, outcome, reason + found.words, undone=found)


def _goes_back(state: RunState) -> bool:
    return any(phase == "rollback" for phase, _ in state.steps)


def waits_for_on_cancel(state: RunState, plan: Plan, step: PlannedStep) -> bool:
    """Whether this part of the way back has to wait for what a person's cancel begins first."""
    if step.phase != "rollback" or not state.cancelled_by or _goes_back(state):
        return False
    return any(state.step("on_cancel", e.id).outcome == "pending" for e in plan.of("on_cancel"))


def cancel(state: RunState, world: World) -> Command:
    """End the plan: by a stop at once, by a person after `on_cancel` and the rollback."""
    plan = state.plan
    if plan is None or not state.began:
        return end(state, "cancelled", _why_cancelled(state))
    if state.is_stopped:
        # Stopped halfway, a target is in nobody's hands: it stays locked until a person lets go.
        held = ", ".join(filter(None, plan.changed_targets))
        stays = f"; it was under way, so {held} stays locked (`quell locks list`)" if held else ""
        reason = _why_cancelled(state) + stays
        left = tuple(step.id for step in changes_of(state, plan))
        return end(state, "cancelled", reason, keeps_locks=True, undone=Undone(left=left))
    badly = []
    for step in plan.of("on_cancel"):
        if _goes_back(state) and state.step("on_cancel", step.id).outcome == "pending":
            continue  # it is for what was done, and some of that is undone already
        command, broken = advance(state, plan, step, world)
        if command is not None:
            return command
        if broken is not None:
            badly.append(broken.id)
    found = undo(state, plan, world)
    if not isinstance(found, Undone):
        return found
    failed = f"; on_cancel failed: {', '.join(badly)}" if badly else ""
    return end(state, "cancelled", _why_cancelled(state) + failed + found.words, undone=found)


def _why_cancelled(state: RunState) -> str:
    # A stop's own reason says by whom.
    if state.is_stopped:
        return state.cancel_reason
    return f"cancelled by {state.cancelled_by}: {state.cancel_reason}"
