"""The point of no return as a transaction: what it judges over, and the intent that it writes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from engine.core import events
from engine.core.actions import Call, Repeat
from engine.core.catalog import Catalog
from engine.core.evaluating import known_to
from engine.core.freezes import CheckedFreeze, freeze_refusal, freezes_over
from engine.core.guards import (
    TAKES_BACK,
    Refusal,
    Reservation,
    reservations_of,
    services_of,
)
from engine.core.json_value import JsonObject
from engine.core.plan import Plan, attempt_id
from engine.core.planning import subjects_of_plan
from engine.core.playbook import Playbook
from engine.core.point_of_no_return import MAX_SKEW, Judgement, Moment, judge
from engine.core.reporting import intended, prepared
from engine.core.run import RunState
from engine.core.run_batches import begins_batch
from engine.core.run_commands import Attempt, Command, CommandKey
from engine.core.run_machine import next_commands
from engine.core.run_world import World
from engine.core.undoing import not_yet
from engine.errors import TransientError
from engine.ports.clock import Clock
from engine.ports.expecting import expect
from engine.ports.recording import Author, record
from engine.ports.rows import Task
from engine.ports.run_look import Seen, look_again
from engine.ports.store import Tx


@dataclass(frozen=True, slots=True)
class Aim:
    """An attempt that is about to be intended.

    `before` is the state that its probe will compare with, which took `looked` to read.
    """

    command: Attempt
    call: Call
    before: JsonObject
    looked: timedelta

    def is_open(self, state: RunState) -> bool:
        """Whether this very attempt was intended, and nothing is known of its end."""
        step = self.command.step
        known = state.step(step.phase, step.id)
        return known.outcome == "open" and known.attempts == self.command.number


def call_of(run_id: str, command: Attempt) -> Call:
    """What the action is asked to do."""
    step = command.step
    # The other side knows a keyed change by its first attempt's id, however often it comes.
    key = 1 if step.repeat == Repeat.KEYED.value else command.number
    ident = attempt_id(run_id, step.phase, step.id, key)
    return Call(prepared(step), ident, step.timeout_s, step.id)


def next_of(
    seen: Seen, playbook: Playbook, catalog: Catalog, under_way: frozenset[CommandKey] = frozenset()
) -> tuple[Command, ...]:
    """What to do now, beside what this worker has under way."""
    return next_commands(seen.state, world_of(seen, playbook, catalog, under_way))


def next_aim(seen: Seen, playbook: Playbook, catalog: Catalog) -> Aim | None:
    """The attempt that comes next, alone and with nothing to read or count before it; else None."""
    (command, *others), plan = next_of(seen, playbook, catalog), seen.state.plan
    if others or not isinstance(command, Attempt) or command.looks_before:
        return None
    if plan is None or not seen.state.began or begins_batch(seen.state, plan, command.step):
        return None  # its guards are held first
    return Aim(command, call_of(seen.state.run_id, command), {}, timedelta(0))


def still_next(seen: Seen, playbook: Playbook, command: Attempt, catalog: Catalog) -> bool:
    """Whether it is among what comes next: another lane may have failed since it was said.

    What is open under this lease is under way beside it.
    """
    steps = seen.state.steps.items()
    open_ones = frozenset(key for key, known in steps if known.outcome == "open" and known.attempt)
    found = next_of(seen, playbook, catalog, open_ones)
    return any(isinstance(each, Attempt) and each.key == command.key for each in found)


def intend(
    tx: Tx, task: Task, current: Seen, playbook: Playbook, aim: Aim, catalog: Catalog
) -> tuple[Seen, Judgement]:
    """Journal the intent if it passes; the run after it.

    `current` is what this transaction saw, with the stops held.
    """
    world = world_of(current, playbook, catalog)
    approved_hash = _approved_hash(tx, current)
    judgement = judge(aim.command, Moment(current.state, world, aim.looked, approved_hash))
    if judgement.outcome != "passes":
        return current, judgement
    story: list[events.Event] = []
    if not current.state.began:
        tx.reserve(_reservations(current, catalog))
        if current.state.undone is not None:
            tx.release(current.state.undoes, current.state.undone.outcome or "")
        if current.state.plan is not None:
            story += expect(tx, current.state.plan, current.incident)
    story.append(intended(current.state.run_id, aim.command, aim.call, current.now, aim.before))
    record(tx, current.incident, story, Author(catalog=catalog.version))
    return look_again(tx, task, current, catalog), judgement


def skewed(tx: Tx, clock: Clock) -> TransientError | None:
    """Why nothing may begin while this machine and the store don't agree on what time it is.

    One of them jumped, so nobody can say how old an answer is, or whether an effect is over.
    """
    skew = clock.now() - tx.now
    if abs(skew) <= MAX_SKEW:
        return None
    return TransientError(
        f"this machine's clock is {skew.total_seconds():+.0f} s off the store's: nothing "
        "is changed until they agree. Set the wrong one right; where quell keeps its own "
        "store, restart it"
    )


def demand_one_time(tx: Tx, clock: Clock) -> None:
    """Raises TransientError while this machine and the store don't agree on the time."""
    if (error := skewed(tx, clock)) is not None:
        raise error


def world_of(
    seen: Seen, playbook: Playbook, catalog: Catalog, under_way: frozenset[CommandKey] = frozenset()
) -> World:
    """What the run's decisions are made of."""
    return World(
        now=seen.now,
        incident=seen.incident,
        playbook=playbook,
        inventory=catalog.inventory,
        stopped=seen.stopped,
        refusal=seen.refusal
        or _refused_by_freeze(seen, catalog)
        or _waits_for_its_time(seen, playbook, catalog),
        asks=seen.asks,
        under_way=under_way,
    )


def freezes_of(seen: Seen, plan: Plan, catalog: Catalog) -> Sequence[CheckedFreeze]:
    """The freezes that cover what the plan touches, now."""
    subjects = subjects_of_plan(plan, seen.incident, catalog.inventory)
    return freezes_over(catalog.policy.freezes, subjects, seen.now)


def _waits_for_its_time(seen: Seen, playbook: Playbook, catalog: Catalog) -> Refusal | None:
    if playbook.revert is None or not seen.state.reverts or seen.state.began:
        return None
    known = known_to(seen.state, seen.incident, catalog.inventory)
    return not_yet(playbook.revert, known)


def _refused_by_freeze(seen: Seen, catalog: Catalog) -> Refusal | None:
    if seen.state.plan is None or seen.state.began:
        return None
    found = freezes_of(seen, seen.state.plan, catalog)
    return freeze_refusal(found, seen.state.mode, seen.now)


def _reservations(seen: Seen, catalog: Catalog) -> Sequence[Reservation]:
    plan, incident = seen.state.plan, seen.incident
    if plan is None:
        return ()
    services = services_of(plan, catalog.inventory, incident.service)
    taken = reservations_of(
        plan, services, rule_id=incident.rule_id, incident=incident, at=seen.now
    )
    if not seen.state.undoes:
        return taken
    return [replace(each, outcome=TAKES_BACK) for each in taken]


def _approved_hash(tx: Tx, seen: Seen) -> str:
    """The hash of the plan that somebody approved by the store's row, "" without one."""
    approval = tx.approval(seen.state.approval.id) if seen.state.approval else None
    return approval.plan_hash if approval is not None and approval.state == "approved" else ""
