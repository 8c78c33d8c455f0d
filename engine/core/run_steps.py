"""The steps of a plan one after the other: attempts, their repeats, and unknown outcomes."""

from datetime import datetime, timedelta

from engine.core import events
from engine.core.durations import format_duration
from engine.core.evaluating import holds_if, known_to
from engine.core.outputs import gave
from engine.core.plan import CALL, OUTPUTS, Plan, PlannedStep
from engine.core.run import RunState
from engine.core.run_calls import left_out
from engine.core.run_clearance import not_fresh
from engine.core.run_commands import Attempt, Command, Probe, Read, Record, Wait
from engine.core.run_looks import look_on
from engine.core.run_questions import ask_between
from engine.core.run_repeats import may_repeat
from engine.core.run_waits import done, wait_out
from engine.core.run_world import World

UNKNOWN_GRACE = timedelta(seconds=5)
PROBE_AGAIN = timedelta(seconds=10)
MAX_PROBES = 6


def deadline(state: RunState, plan: Plan) -> datetime | None:
    """When the run's steps and verification must be over; None while nothing was begun."""
    if state.began_at is None or plan.deadline_s is None or not state.began:
        return None
    return state.began_at + timedelta(seconds=plan.deadline_s)


def deadline_words(plan: Plan) -> str:
    """What is said once it has passed."""
    span = format_duration(timedelta(seconds=plan.deadline_s or 0))
    return f"the deadline of {span} passed"


def comes_too_late(state: RunState, plan: Plan, step: PlannedStep, world: World) -> bool:
    """Whether the deadline keeps this step from being begun now."""
    due = deadline(state, plan)
    if step.phase != "steps" or due is None or world.now < due:
        return False
    return not world.playbook.step(step.origin).runs_after_failure


def advance(
    state: RunState, plan: Plan, step: PlannedStep, world: World
) -> tuple[Command | None, PlannedStep | None]:
    """(what to do for this step, None) or (None, the step if it failed for good)."""
    known = state.step(step.phase, step.id)
    match known.outcome:
        case "succeeded" | "failed" if step.until:
            return _look_again(state, step, world)
        case "succeeded" | "skipped":
            return None, None
        case "failed" | "unknown":
            if may_repeat(step, known):
                return _attempt_again(state, plan, step, world), None
            return None, step if step.required else None
        case "pending" | "open":
            pass
    if known.outcome == "pending" and (reason := _passed_over(state, plan, step, world)):
        skipped = events.StepSkipped(
            run_id=state.run_id, phase=step.phase, step_id=step.id, reason=reason
        )
        return Record(skipped), None
    if (command := _without_action(state, step, world)) is not None:
        return command, None
    if not step.changes:
        return Read(step, step.phase), None
    return _next_attempt(state, plan, step, world), None


def _without_action(state: RunState, step: PlannedStep, world: World) -> Command | None:
    """What a step does that calls none; None for any other."""
    if step.uses == CALL:
        return Record(done(state, step))
    if step.question is not None:
        return ask_between(state, step, step.question, world)
    if step.uses == OUTPUTS:
        gives = world.playbook.step(step.origin).gives
        known = known_to(state, world.incident, world.inventory, step.place)
        return Record(gave(state, step, gives, known))
    return wait_out(state, step, world) if step.wait_s else None


def _passed_over(state: RunState, plan: Plan, step: PlannedStep, world: World) -> str:
    """Why it isn't begun, "" where it is."""
    if reason := left_out(state, plan, step):
        return reason
    condition = world.playbook.step(step.origin).condition
    if condition is None:
        return ""
    return holds_if(condition, known_to(state, world.incident, world.inventory, step.place)).reason


def _look_again(
    state: RunState, step: PlannedStep, world: World
) -> tuple[Command | None, PlannedStep | None]:
    """As `advance`, for a step that looked and waits until it holds, from its first look on."""
    looks = state.looks[step.id]
    found = look_on(step, looks, looks[0].at, world)
    if isinstance(found, str):
        return None, step if found == "failed" else None
    return found, None


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
        stale = not_fresh(state, plan, world)
        if stale is not None:
            return stale
    return Attempt(step, state.step(step.phase, step.id).attempts + 1)


def settle_unknown(state: RunState, world: World) -> Command | None:
    """An attempt without a known end comes before everything else, cancellation too."""
    if state.plan is None:
        return None
    for (phase, step_id), known in state.steps.items():
        attempt = known.attempt
        if attempt is None or known.outcome not in ("open", "unknown"):
            continue
        if (phase, step_id) in world.under_way:
            continue  # its worker will tell
        step = state.plan.step(phase, step_id)
        told = known.outcome == "unknown" and (
            step.repeat != "probe"
            or known.probe_answer == "cannot_tell"
            or known.probes >= MAX_PROBES
        )
        # Nothing is undone, and nobody else let in, beside what may still be under way.
        safe_at = events.moment(attempt.not_after) + UNKNOWN_GRACE
        if not told and known.probe_answer == "in_progress" and known.changed_at is not None:
            safe_at = max(safe_at, known.changed_at + PROBE_AGAIN)
        if world.now < safe_at:
            return Wait(
                safe_at, f"the outcome of {step_id} is unknown; nobody looks before it is over"
            )
        if told:
            continue
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
