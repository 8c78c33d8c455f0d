"""The last judgement before a change, over what its intent's own transaction sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from engine.core.plan import Plan, PlannedStep
from engine.core.run import RunState
from engine.core.run_batches import begins_batch
from engine.core.run_clearance import asks_source, needs_approval, stale_confirmation, stale_look
from engine.core.run_commands import Attempt
from engine.core.run_endings import waits_for_on_cancel
from engine.core.run_steps import comes_too_late
from engine.core.run_world import World

# What was found fresh before may become this much older on the way to the intent.
SLACK = timedelta(seconds=5)
# Clocks further apart than this: nobody can say how old an answer is, or when an effect is over.
MAX_SKEW = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Judgement:
    """`passes`; `waits`: the run decides afresh; `broken`: what is stored contradicts itself."""

    outcome: Literal["passes", "waits", "broken"]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """Where an attempt stands: the run as its transaction sees it.

    `looked` is the time that the look at the target's state before took: a slow host doesn't make
    everything else stale for ever. `approved_hash` is the hash of the plan that a person approved
    by the store's row, "" without one.
    """

    state: RunState
    world: World
    looked: timedelta
    approved_hash: str


def judge(command: Attempt, moment: Moment) -> Judgement:
    """Whether this attempt may be intended now."""
    state, plan, world = moment.state, moment.state.plan, moment.world
    if plan is None or not state.may_begin(command.step.phase):
        return Judgement("waits", "the run has ended, or is about to")
    if world.stopped:
        return Judgement("waits", world.stopped)
    if waits_for_on_cancel(state, plan, command.step):
        return Judgement("waits", "the run was cancelled, and on_cancel comes first")
    if comes_too_late(state, plan, command.step, world):
        return Judgement("waits", "the run's deadline passed")
    known = state.step(command.step.phase, command.step.id)
    if known.outcome == "open" or known.attempts != command.number - 1:
        return Judgement("waits", "it was begun already")
    seen_at = world.now - moment.looked - SLACK
    if not state.began:
        waiting = _first(state, plan, world, seen_at)
    elif begins_batch(state, plan, command.step):
        waiting = _guarded(state, plan.of("guards"), world, seen_at)
    else:
        waiting = ""
    if waiting:
        return Judgement("waits", waiting)
    return _approved(state, plan, world, moment.approved_hash)


def _first(state: RunState, plan: Plan, world: World, seen_at: datetime) -> str:
    """Why nothing may begin yet, "" when it may."""
    if not world.incident_open and not state.undoes:
        return "the incident cleared"
    if waiting := _guarded(state, plan.of("verify", "guards"), world, seen_at):
        return waiting
    if not asks_source(state, world):
        return ""
    if stale_confirmation(state, seen_at):
        return "nobody said lately that it still fires"
    if state.confirmed is not None and state.confirmed.resolved_since is not None:
        return "the source says that it no longer fires"
    return ""


def _guarded(state: RunState, looks: Sequence[PlannedStep], world: World, seen_at: datetime) -> str:
    if stale_look(state, looks, seen_at) is not None:
        return "what was looked at before is too old"
    return world.refusal.reason if world.refusal is not None else ""


def _approved(state: RunState, plan: Plan, world: World, approved_hash: str) -> Judgement:
    if not needs_approval(state, plan, world):
        return Judgement("passes")
    if state.approval is None or state.approval.decision != "approved":
        return Judgement("waits", "a person has to approve")
    if approved_hash == state.plan_hash:
        return Judgement("passes")
    return Judgement(
        "broken",
        f"run {state.run_id!r} has no approval of its plan in the store; `quell audit verify`",
    )
