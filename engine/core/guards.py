"""What other runs keep a run from: guards that count over the reservations which runs make.

A run reserves each target of its plan with its first intent, in that intent's transaction, and
lets go when it ends. Every guard here is data over these reservations: which of them count, for
how long, and how many are fine.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from engine.core.documents import Guards
from engine.core.durations import format_duration, parse_duration
from engine.core.plan import Plan

GuardName = Literal["lock", "cooldown", "budget"]
Column = Literal["target", "playbook_id", "rule_id"]

# A run that waits longer for a lock finds that nobody remembers why it was to be made.
HELD_AT_MOST = timedelta(minutes=30)
# A lock is let go at the end of its run, which wakes nobody in particular.
HELD_AGAIN = timedelta(seconds=5)
# Nothing is remembered for longer, so no guard can look back further.
LONGEST_LOOK_BACK = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Reservation:
    """One target ("" where the plan changes none that is known) that a run has, or had.

    `incident` is what people call the run's incident. `released_at` is None while it is held.
    """

    run_id: str
    target: str
    playbook_id: str
    rule_id: str
    service: str
    incident_id: str
    incident: str
    taken_at: datetime
    released_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """What the reservation of a target means to others; `kept`: its run has ended."""

    held: Reservation
    kept: bool


@dataclass(frozen=True, slots=True)
class Guard:
    """At most so many other runs among the reservations that are equal in some columns.

    `counts` says which reservations: those held now, those held or released within `within`, or
    those taken within it.
    """

    name: GuardName
    among: tuple[tuple[Column, str], ...]
    counts: Literal["held", "released", "taken"]
    at_most: int = 0
    within: timedelta = timedelta(0)

    @property
    def key(self) -> str:
        """What runs that this guard sets apart have in common: each locks it before it counts."""
        return ",".join(f"{column}={value}" for column, value in self.among) or "every run"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which guard stands in the way, and the sentence that says why.

    `waits`: it gives way by itself, soon enough to wait for it, `longest` at most, and it is asked
    again after `again`.
    """

    guard: GuardName | Literal["inhibited", "silenced", "freeze"]
    reason: str
    waits: bool
    longest: timedelta = HELD_AT_MOST
    again: timedelta = HELD_AGAIN


def guards_of(plan: Plan, rule_id: str) -> tuple[Guard, ...]:
    """The guards of a plan, in the order in which they are told: its locks, then the playbook's."""
    targets = plan.changed_targets
    guards = [Guard("lock", (("target", target),), "held") for target in targets if target]
    wanted = Guards.model_validate(plan.guards)
    among: Mapping[str, Sequence[tuple[tuple[Column, str], ...]]] = {
        "overall": [()],
        "playbook": [(("playbook_id", plan.playbook_id),)],
        "rule": [(("playbook_id", plan.playbook_id), ("rule_id", rule_id))],
        "target": [(("playbook_id", plan.playbook_id), ("target", each)) for each in targets],
    }
    if (cooldown := wanted.cooldown) is not None:
        within = parse_duration(cooldown.for_)
        guards += [Guard("cooldown", a, "released", 0, within) for a in among[cooldown.per]]
    if (budget := wanted.budget) is not None:
        within = parse_duration(budget.within)
        guards += [Guard("budget", a, "taken", budget.runs - 1, within) for a in among[budget.per]]
    return tuple(guards)


def reservations_of(
    plan: Plan, *, rule_id: str, service: str, incident_id: str, incident: str, at: datetime
) -> tuple[Reservation, ...]:
    """What the first intent of a plan reserves."""
    return tuple(
        Reservation(
            run_id=plan.run_id,
            target=target,
            playbook_id=plan.playbook_id,
            rule_id=rule_id,
            service=service,
            incident_id=incident_id,
            incident=incident,
            taken_at=at,
        )
        for target in plan.changed_targets
    )


def first_refusal(
    guards: Iterable[Guard],
    reserved: Callable[[Guard], Sequence[Reservation]],
    run_id: str,
    now: datetime,
) -> Refusal | None:
    """The first guard that stands in the way of this run; None when all let it pass.

    `reserved` gives the reservations among which a guard counts; the run's own don't count.
    """
    for guard in guards:
        others = [
            each for each in reserved(guard) if each.run_id != run_id and _counts(guard, each, now)
        ]
        if len({each.run_id for each in others}) > guard.at_most:
            return _refusal(guard, others)
    return None


def _counts(guard: Guard, reservation: Reservation, now: datetime) -> bool:
    match guard.counts:
        case "held":
            return reservation.released_at is None
        case "released":
            return reservation.released_at is None or reservation.released_at > now - guard.within
        case "taken":
            return reservation.taken_at > now - guard.within


def _refusal(guard: Guard, others: Sequence[Reservation]) -> Refusal:
    latest = max(others, key=lambda each: each.taken_at)
    where, within = dict(guard.among), format_duration(guard.within)
    target = where.get("target", "")
    what = where.get("playbook_id", "all playbooks together") + (f" on {target}" if target else "")
    match guard.name:
        case "lock":
            return Refusal(
                "lock", f"{target} is locked by the run of {latest.incident}", waits=True
            )
        case "cooldown":
            ended = latest.released_at
            when = f"ended at {ended:%H:%M:%S} UTC" if ended else "is under way"
            reason = f"{what} {when} ({latest.incident}), and cools down for {within}"
            return Refusal("cooldown", reason, waits=False)
        case "budget":
            reason = f"{what} may run {guard.at_most + 1} times within {within}, and did"
            return Refusal("budget", reason, waits=False)
