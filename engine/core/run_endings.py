"""How a run ends: the verification, the rollback, and what is said at the end."""

from datetime import datetime, timedelta

from engine.core import events
from engine.core.plan import Plan, PlannedStep
from engine.core.run import Look, RunState
from engine.core.run_commands import Command, Read, Record, Wait, end
from engine.core.run_steps import advance
from engine.core.run_world import World


def verify(state: RunState, plan: Plan, world: World) -> Command:
    """What proves that it worked; a verification that failed rolls back."""
    if state.verified is False:
        return roll_back(state, plan, world, None)
    if state.verified is True:
        return end(state, "succeeded", state.verification_reason or "the verification held")
    if state.verifying_since is None:
        return Record(events.VerificationStarted(run_id=state.run_id))
    for step in plan.of("verify"):
        looks = state.looks.get(step.id, ())
        if _held(step, looks):
            continue
        deadline = state.verifying_since + timedelta(seconds=step.within_s + step.stable_for_s)
        if world.now >= deadline and (not looks or not looks[-1].holds or looks[-1].at >= deadline):
            return _verification(
                state, holds=False, reason=f"{step.id} did not hold within {step.within_s:g} s"
            )
        due = looks[-1].at + timedelta(seconds=step.every_s) if looks else world.now
        if world.now < due:
            return Wait(due, f"verifying {step.id}")
        return Read(step, "verify")
    return _verification(state, holds=True, reason="every verification held")


def _held(step: PlannedStep, looks: tuple[Look, ...]) -> bool:
    """Whether the unbroken row of good looks at the end is as long as the step wants."""
    since: datetime | None = None
    for look in reversed(looks):
        if not look.holds:
            break
        since = look.at
    return since is not None and looks[-1].at - since >= timedelta(seconds=step.stable_for_s)


def _verification(state: RunState, *, holds: bool, reason: str) -> Record:
    return Record(events.VerificationEnded(run_id=state.run_id, holds=holds, reason=reason))


def roll_back(state: RunState, plan: Plan, world: World, failed: PlannedStep | None) -> Command:
    """Undo in reverse what was or may have been done, then end with what is left."""
    undone_badly = []
    for done in reversed(
        [s for s in plan.of("steps") if state.step("steps", s.id).may_have_happened]
    ):
        for step in plan.of("rollback"):
            if step.undoes != done.id:
                continue
            command, broken = advance(state, plan, step, world)
            if command is not None:
                return command
            if broken is not None:
                undone_badly.append(broken.id)
    if failed is None:
        reason = state.verification_reason
        if undone_badly:
            return end(state, "partial", f"{reason}; rollback failed: {', '.join(undone_badly)}")
        return end(state, "failed", reason)
    known = state.step(failed.phase, failed.id)
    reason = f"step {failed.id}: {known.error or known.outcome}"
    if known.outcome == "unknown":
        badly = f"; rollback failed: {', '.join(undone_badly)}" if undone_badly else ""
        return end(state, "unknown", reason + badly)
    kept = [s.id for s in plan.of("steps") if _kept(state, plan, s)]
    if kept or undone_badly:
        left = ", ".join([*kept, *undone_badly])
        return end(state, "partial", f"{reason}; what stays as it is: {left}")
    return end(state, "failed", reason)


def _kept(state: RunState, plan: Plan, step: PlannedStep) -> bool:
    """Whether a change was done and has no rollback."""
    done = step.changes and state.step("steps", step.id).outcome == "succeeded"
    return done and not any(undo.undoes == step.id for undo in plan.of("rollback"))
