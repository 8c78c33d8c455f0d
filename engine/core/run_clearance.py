"""What stands before a run's first change: looks, the source's word, guards, a person's."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from engine.core import events
from engine.core.guards import Refusal
from engine.core.plan import Plan, PlannedStep, approval_id
from engine.core.run import Confirmed, RunState
from engine.core.run_batches import begins_batch
from engine.core.run_commands import Command, Confirm, Read, Record, Wait, end
from engine.core.run_world import World
from engine.core.severity import Mode

PRECHECK_FRESH = timedelta(seconds=10)
CONFIRMATION_FRESH = timedelta(seconds=10)
# A source that says "resolved" has a notice on its way, or has just come up and knows nothing.
SOURCE_SETTLES = timedelta(minutes=2)
ASK_AGAIN = timedelta(seconds=15)
# What guards read outside is journaled each time.
READ_AGAIN = timedelta(seconds=30)


def before_first_change(state: RunState, plan: Plan, world: World) -> Command | None:
    """What comes before the first attempt; None when nothing does any more."""
    if (over := _refused(state, world)) is not None:
        return over  # however long something else would keep it
    missing = stale_look(state, plan.of("verify"), None)
    if missing is not None:
        return read_before(missing)
    if state.precheck and all(look.holds for look in state.precheck.values()):
        return end(state, "not_needed", "the verification holds already")
    if asks_source(state, world):
        if state.confirmed is None:
            return Confirm()
        if state.confirmed.resolved_since is not None:
            return _resolved_at_source(
                state, state.confirmed, state.confirmed.resolved_since, world
            )
    missing = stale_look(state, plan.of("guards"), None)
    if missing is not None:
        return read_before(missing)
    if world.refusal is not None:
        return _held_back(state, plan, world.refusal, world)
    return _ask(state, plan, world) if needs_approval(state, plan, world) else None


def before_batch(state: RunState, plan: Plan, step: PlannedStep, world: World) -> Command | None:
    """What comes before the first change of a later batch; None when nothing does any more."""
    if not state.began or state.undoes or not begins_batch(state, plan, step):
        return None
    stale = stale_look(state, plan.of("guards"), world.now)
    if stale is not None:
        return read_before(stale)
    return None if world.refusal is None else _held_back(state, plan, world.refusal, world)


def needs_approval(state: RunState, plan: Plan, world: World) -> bool:
    """Whether the effective mode, the plan or a guard demands a person before the first change.

    Who was asked once is waited for, even where the reason is gone meanwhile.
    """
    destroys = any(step.effect == "destroy" for step in plan.steps)
    mode_asks = state.mode is not Mode.AUTO or plan.always_ask or destroys
    asked = state.approval is not None or bool(world.asks)
    return mode_asks or asked or _is_unconfirmed(state, plan)


def _is_unconfirmed(state: RunState, plan: Plan) -> bool:
    """Whether nobody who should know says that it fires: an alert alone could be forged."""
    if state.confirmed is None:
        return False
    confirmation = state.confirmed.confirmation
    by_notice = plan.source_confirms and confirmation.basis != "source"
    return confirmation.answer == "cannot_tell" or by_notice


def asks_source(state: RunState, world: World) -> bool:
    """Whether the run is for what fires; what a person ordered, or takes back, is done anyway."""
    return not world.incident.by_hand and not state.undoes


def not_fresh(state: RunState, plan: Plan, world: World) -> Command | None:
    """What has to be looked at or asked again right before the first attempt."""
    stale = stale_look(state, plan.of("verify", "guards"), world.now)
    if stale is not None:
        return read_before(stale)
    if asks_source(state, world) and stale_confirmation(state, world.now):
        return Confirm()
    return None


def stale_confirmation(state: RunState, at: datetime) -> bool:
    """Whether nobody said lately that it still fires."""
    return state.confirmed is None or at - state.confirmed.at > CONFIRMATION_FRESH


def stale_look(
    state: RunState, looks: Sequence[PlannedStep], at: datetime | None
) -> PlannedStep | None:
    """The first of these reads whose answer is missing or, at this time, too old; else None.

    They are looked at one after the other, so an earlier look may be older by what the later
    ones may take: otherwise two slow ones would make each other stale for ever.
    """
    later = timedelta(0)
    found = None
    for step in reversed(looks):
        seen = state.guard_looks if step.phase == "guards" else state.precheck
        look = seen.get(step.id)
        if look is None or (at is not None and at - look.at > PRECHECK_FRESH + later):
            found = step
        later += timedelta(seconds=step.timeout_s)
    return found


def read_before(step: PlannedStep) -> Read:
    """The read, as a look that stands before the first change."""
    return Read(step, "guards" if step.phase == "guards" else "precheck")


def _resolved_at_source(
    state: RunState, confirmed: Confirmed, since: datetime, world: World
) -> Command:
    if confirmed.at - since >= SOURCE_SETTLES:
        told = confirmed.confirmation.detail
        reason = f"the source says that it no longer fires, and no notice of that came ({told})"
        return end(state, "skipped", reason, by_guard="still_firing")
    if world.now < confirmed.at + ASK_AGAIN:
        return Wait(confirmed.at + ASK_AGAIN, "the source says that it no longer fires")
    return Confirm()


def _held_back(state: RunState, plan: Plan, refusal: Refusal, world: World) -> Command:
    # What it waited for may have mended it, or what a guard reads may be over.
    looks = plan.of("guards") if refusal.waits else plan.of("verify", "guards")
    stale = stale_look(state, looks, world.now)
    if stale is not None:
        return read_before(stale)
    if not refusal.waits:
        return end(state, "skipped", refusal.reason, by_guard=refusal.guard)
    known = state.held_back
    if known is None or (known.guard, known.reason) != (refusal.guard, refusal.reason):
        held_back = events.RunHeldBack(
            run_id=state.run_id, guard=refusal.guard, reason=refusal.reason
        )
        return Record(held_back)
    if world.now - known.since >= refusal.longest:
        return _gives_up(state, refusal)
    again = max(refusal.again, READ_AGAIN) if plan.of("guards") else refusal.again
    return Wait(world.now + again, refusal.reason)


def _gives_up(state: RunState, refusal: Refusal) -> Command:
    reason = f"{refusal.reason} for too long"
    if state.began:
        return Record(events.DeadlinePassed(run_id=state.run_id, reason=reason))
    return end(state, "skipped", reason, by_guard=refusal.guard)


def _ask(state: RunState, plan: Plan, world: World) -> Command | None:
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
                why=world.asks,
            )
        )
    if approval.decision == "approved":
        return None
    return Wait(approval.expires_at, "waiting for approval")


def _refused(state: RunState, world: World) -> Command | None:
    """The end of a run whose approver said no, or nothing in time; None for any other."""
    approval = state.approval
    if approval is None or approval.decision == "approved":
        return None
    if approval.decision == "rejected":
        return end(
            state, "cancelled", f"rejected by {approval.actor}: {approval.reason}".rstrip(": ")
        )
    if approval.decision == "expired":
        return end(state, "expired", "nobody decided in time; a person is needed")
    if world.now < approval.expires_at:
        return None
    return Record(
        events.ApprovalDecided(
            run_id=state.run_id,
            approval_id=approval.id,
            plan_hash=approval.plan_hash,
            decision="expired",
            via="clock",
        )
    )
