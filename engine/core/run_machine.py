"""What a run does next: a pure decision over its folded state, obeyed by a thin worker.

    investigate → plan → ask → precheck → steps → verify → (roll back) → end

Nothing here looks at a clock or a database; the worker's point of no return checks again, in the
intent's own transaction, what may have changed since.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.core import events
from engine.core.evaluating import holds_if, known_to
from engine.core.incident import Incident
from engine.core.inventory import Inventory
from engine.core.journal import ENGINE
from engine.core.plan import Plan, PlannedStep, approval_id
from engine.core.playbook import Playbook
from engine.core.run import Look, RunState, StepState
from engine.core.run_commands import (
    Attempt,
    Command,
    Ended,
    Investigate,
    MakePlan,
    Probe,
    Read,
    Record,
    Wait,
)
from engine.core.severity import Mode

PRECHECK_FRESH = timedelta(seconds=10)
UNKNOWN_GRACE = timedelta(seconds=5)
PROBE_AGAIN = timedelta(seconds=10)
MAX_PROBES = 6
# How many interrupted attempts of a step may be made up for, beside its retries.
MAX_EXCUSED = 2


@dataclass(frozen=True, slots=True)
class World:
    """What the machine must know besides the run's own entries.

    `playbook` has exactly the text that the run started with. `stopped` says why nothing may be
    changed any more, "" while it may; it was read together with the run's entries.
    """

    now: datetime
    incident: Incident
    playbook: Playbook
    inventory: Inventory
    stopped: str = ""

    @property
    def incident_open(self) -> bool:
        """Whether there is still something to mend."""
        return self.incident.status == "open"


def next_command(state: RunState, world: World) -> Command:
    """The one thing to do now."""
    if state.outcome is not None:
        return Ended()
    if world.stopped and not state.cancelled_by and state.verified is not True:
        # Journaled at once: what was stopped never goes on, however soon the stop is lifted.
        return Record(events.RunCancelled(run_id=state.run_id, reason=world.stopped))
    uncertain = _settle_unknown(state, world)
    if uncertain is not None:
        return uncertain
    if state.cancelled_by and state.verified is not True:
        return _end(state, "cancelled", _cancellation(state))
    if not world.incident_open and not state.began:
        return _end(state, "skipped", "the incident cleared before anything was done")
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
        return _end(state, "skipped", "observe: this is what would have run")
    if not state.began:
        if _precheck_holds(state, plan):
            return _end(state, "not_needed", "the verification holds already")
        blocked = _ask(state, plan, world)
        if blocked is not None:
            return blocked
    failed = None
    for step in plan.of("steps"):
        command, failed = _advance(state, plan, step, world)
        if command is not None:
            return command
        if failed is not None:
            break
    if failed is not None:
        return _roll_back(state, plan, world, failed)
    if not state.began:
        return _end(state, "skipped", "no step was needed")
    return _verify(state, plan, world)


def _ask(state: RunState, plan: Plan, world: World) -> Command | None:
    """What stands before the first attempt: an approval where the mode wants one."""
    missing = stale_precheck(state, plan, None)
    if missing is not None:
        return Read(missing, "precheck")
    if not needs_approval(state, plan):
        return None
    approval = state.approval
    if approval is None:
        expires_at = world.now + timedelta(seconds=plan.approval_expires_s)
        return Record(
            events.ApprovalRequested(
                run_id=state.run_id,
                approval_id=approval_id(state.run_id, plan.revision),
                plan_hash=state.plan_hash,
                ask=plan.approval_from,
                quorum=plan.approval_quorum,
                expires_at=expires_at.isoformat(),
            )
        )
    if approval.decision == "approved":
        return None
    if approval.decision == "rejected":
        return _end(
            state, "cancelled", f"rejected by {approval.actor}: {approval.reason}".rstrip(": ")
        )
    if approval.decision == "expired":
        return _end(state, "expired", "nobody decided in time; a person is needed")
    if world.now >= approval.expires_at:
        return Record(
            events.ApprovalDecided(
                run_id=state.run_id,
                approval_id=approval.id,
                plan_hash=approval.plan_hash,
                decision="expired",
                via="clock",
            )
        )
    return Wait(approval.expires_at, "waiting for approval")


def needs_approval(state: RunState, plan: Plan) -> bool:
    """Whether the effective mode and the plan demand a person before the first change."""
    destroys = any(step.effect == "destroy" for step in plan.steps)
    return state.mode is not Mode.AUTO or plan.always_ask or destroys


def _precheck_holds(state: RunState, plan: Plan) -> bool:
    looks = [state.precheck.get(step.id) for step in plan.of("verify")]
    return all(look is not None and look.holds for look in looks)


def stale_precheck(state: RunState, plan: Plan, at: datetime | None) -> PlannedStep | None:
    """The first verify step whose precheck is missing or, at this time, too old; else None.

    They are looked at one after the other, so an earlier look may be older by what the later
    ones may take: otherwise two slow ones would make each other stale for ever.
    """
    later = timedelta(0)
    found = None
    for step in reversed(plan.of("verify")):
        look = state.precheck.get(step.id)
        if look is None or (at is not None and at - look.at > PRECHECK_FRESH + later):
            found = step
        later += timedelta(seconds=step.timeout_s)
    return found


def _advance(
    state: RunState, plan: Plan, step: PlannedStep, world: World
) -> tuple[Command | None, PlannedStep | None]:
    """(what to do for this step, None) or (None, the step if it failed for good)."""
    known = state.step(step.phase, step.id)
    match known.outcome:
        case "succeeded" | "skipped":
            return None, None
        case "failed" | "unknown":
            if _may_repeat(step, known):
                return _attempt_again(state, plan, step, world), None
            return None, step if step.required else None
        case "pending" | "open":
            pass
    condition = world.playbook.step(step.id).condition
    if condition is not None:
        known_now = known_to(state, world.incident, world.inventory)
        answer = holds_if(condition, known_now)
        if not answer.holds:
            skipped = events.StepSkipped(
                run_id=state.run_id, phase=step.phase, step_id=step.id, reason=answer.reason
            )
            return Record(skipped), None
    if not step.changes:
        return Read(step, step.phase), None
    return _next_attempt(state, plan, step, world), None


def _may_repeat(step: PlannedStep, known: StepState) -> bool:
    counted = known.attempts - min(known.excused, MAX_EXCUSED)
    safe = known.repeatable or (known.outcome == "unknown" and step.repeat in ("harmless", "keyed"))
    return step.changes and safe and counted < max(step.retry_attempts, 1)


def _attempt_again(state: RunState, plan: Plan, step: PlannedStep, world: World) -> Command:
    known = state.step(step.phase, step.id)
    due = (known.changed_at or world.now) + timedelta(seconds=step.retry_wait_s)
    if known.outcome == "unknown" and known.attempt is not None:
        due = max(due, events.moment(known.attempt.not_after) + UNKNOWN_GRACE)
    if world.now < due:
        return Wait(due, f"{step.id} is tried again")
    return _next_attempt(state, plan, step, world)


def _next_attempt(state: RunState, plan: Plan, step: PlannedStep, world: World) -> Command:
    """The attempt; while nothing can have happened, after a fresh look whether it is needed."""
    if not state.began:
        stale = stale_precheck(state, plan, world.now)
        if stale is not None:
            return Read(stale, "precheck")
    number = state.step(step.phase, step.id).attempts + 1
    return Attempt(step, number, first=not state.began)


def _settle_unknown(state: RunState, world: World) -> Command | None:
    """An attempt without a known end comes before everything else, cancellation too."""
    if state.plan is None:
        return None
    for (phase, step_id), known in state.steps.items():
        attempt = known.attempt
        if attempt is None or known.outcome not in ("open", "unknown"):
            continue
        step = state.plan.step(phase, step_id)
        if known.outcome == "unknown" and (
            step.repeat != "probe"
            or known.probe_answer == "cannot_tell"
            or known.probes >= MAX_PROBES
        ):
            continue
        safe_at = events.moment(attempt.not_after) + UNKNOWN_GRACE
        if known.probe_answer == "in_progress" and known.changed_at is not None:
            safe_at = max(safe_at, known.changed_at + PROBE_AGAIN)
        if world.now < safe_at:
            return Wait(
                safe_at, f"the outcome of {step_id} is unknown; nobody looks before it is over"
            )
        if step.repeat == "probe":
            return Probe(step, attempt)
        return Record(
            events.AttemptEnded(
                run_id=state.run_id,
                attempt_id=attempt.attempt_id,
                phase=phase,
                step_id=step_id,
                outcome="unknown",
                error="the worker stopped before the outcome was known",
            )
        )
    return None


def _verify(state: RunState, plan: Plan, world: World) -> Command:
    if state.verified is False:
        return _roll_back(state, plan, world, None)
    if state.verified is True:
        return _end(state, "succeeded", state.verification_reason or "the verification held")
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


def _roll_back(state: RunState, plan: Plan, world: World, failed: PlannedStep | None) -> Command:
    """Undo in reverse what was or may have been done, then end with what is left."""
    undone_badly = []
    for done in reversed(
        [s for s in plan.of("steps") if state.step("steps", s.id).may_have_happened]
    ):
        for step in plan.of("rollback"):
            if step.undoes != done.id:
                continue
            command, broken = _advance(state, plan, step, world)
            if command is not None:
                return command
            if broken is not None:
                undone_badly.append(broken.id)
    if failed is None:
        reason = state.verification_reason
        if undone_badly:
            return _end(state, "partial", f"{reason}; rollback failed: {', '.join(undone_badly)}")
        return _end(state, "failed", reason)
    known = state.step(failed.phase, failed.id)
    reason = f"step {failed.id}: {known.error or known.outcome}"
    if known.outcome == "unknown":
        return _end(state, "unknown", reason)
    kept = [s.id for s in plan.of("steps") if _kept(state, plan, s)]
    if kept or undone_badly:
        left = ", ".join([*kept, *undone_badly])
        return _end(state, "partial", f"{reason}; what stays as it is: {left}")
    return _end(state, "failed", reason)


def _kept(state: RunState, plan: Plan, step: PlannedStep) -> bool:
    """Whether a change was done and has no rollback."""
    done = step.changes and state.step("steps", step.id).outcome == "succeeded"
    return done and not any(undo.undoes == step.id for undo in plan.of("rollback"))


def _end(state: RunState, outcome: events.RunOutcome, reason: str) -> Record:
    return Record(events.RunEnded(run_id=state.run_id, outcome=outcome, reason=reason))
