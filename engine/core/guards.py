"""What other runs keep a run from: guards that count over the reservations which runs make.

A run reserves each target of its plan with its first intent, in that intent's transaction, and
lets go when it ends. Every guard here is data over these reservations: which of them count, for
how long, and how many are fine.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from engine.core.documents import Guards, TargetLock
from engine.core.durations import format_duration, parse_duration
from engine.core.inventory import Inventory
from engine.core.plan import Plan
from engine.core.policy_documents import NO_LIMITS, Limits

GuardName = Literal[
    "lock",
    "concurrency",
    "breaker",
    "cooldown",
    "budget",
    "changes",
    "blast_radius",
    "recurrence",
    "others_at_work",
    "caused_by",
]
Column = Literal["target", "service", "playbook_id", "rule_id"]

# What a run left unproven. Whoever was cancelled proved nothing either way.
FAILURES = frozenset({"failed", "partial", "unknown"})
# A failure that a person excused, so that one more run may try.
EXCUSED = "excused"
# However a run ends that takes another one back: it says nothing of the remedy.
TAKES_BACK = "takes_back"
# What somebody else did, and told quell of: only what was changed lately asks about it.
OUTSIDE = "outside"
# A run that waits longer for a lock finds that nobody remembers why it was to be made.
HELD_AT_MOST = timedelta(minutes=30)
# A lock is let go at the end of its run, which wakes nobody in particular.
HELD_AGAIN = timedelta(seconds=5)
Then = Literal["skip", "wait", "ask"]
Among = tuple[tuple[Column, str], ...]

# Nothing is remembered for longer, so no guard can look back further.
LONGEST_LOOK_BACK = timedelta(days=31)


class IncidentName(Protocol):
    """What a reservation keeps of a run's incident."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def name(self) -> str:
        """What people call it."""
        ...


@dataclass(frozen=True, slots=True)
class Reservation:
    """One target ("" where the plan changes none that is known) that a run has, or had.

    `service` is the target's, or the incident's where the inventory knows none. `incident` is what
    people call the run's incident. `released_at` is None while it is held. `outcome` is how the
    run ended, or EXCUSED; "" while it is under way. Of one that takes another back it is TAKES_BACK
    from its beginning.

    A row of what somebody else changed is OUTSIDE and no run's: `playbook_id` says what that was,
    `incident` who told of it, and `target` is "" where a service was changed as a whole.
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
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    """What the reservation of a target means to others; `kept`: its run has ended."""

    held: Reservation
    kept: bool


@dataclass(frozen=True, slots=True)
class Guard:
    """At most so many other runs among the reservations that are equal in some columns.

    `counts` says which reservations: those held now, those held or released within `within`, those
    taken within it, or those of the runs that failed in a row. `then` is what more of them mean for
    a run.
    """

    name: GuardName
    among: Among
    counts: Literal["held", "released", "taken", "failed"]
    at_most: int = 0
    within: timedelta = timedelta(0)
    then: Then = "skip"

    @property
    def key(self) -> str:
        """What runs that this guard sets apart have in common: each locks it before it counts."""
        return ",".join(f"{column}={value}" for column, value in self.among) or "every run"


@dataclass(frozen=True, slots=True)
class Touched:
    """What runs touch that are counted: whose they are, and on which targets and services."""

    playbook_id: str
    rule_id: str
    targets: tuple[str, ...]
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which guard stands in the way, and the sentence that says why.

    `waits`: it gives way by itself, soon enough to wait for it, `longest` at most, and it is asked
    again after `again`.
    """

    guard: GuardName | Literal["inhibited", "silenced", "freeze", "requires", "revert"]
    reason: str
    waits: bool
    longest: timedelta = HELD_AT_MOST
    again: timedelta = HELD_AGAIN


def guards_of(
    plan: Plan, rule_id: str, services: Iterable[str] = (), limits: Limits = NO_LIMITS
) -> tuple[Guard, ...]:
    """The guards of a plan, in the order in which they are told: its locks come first.

    `services` are those of the targets that it changes, `limits` are policy's.
    """
    of = Touched(plan.playbook_id, rule_id, plan.changed_targets, tuple(sorted(set(services))))
    return guards_over(Guards.model_validate(plan.guards), of, limits)


def guards_over(wanted: Guards, of: Touched, limits: Limits = NO_LIMITS) -> tuple[Guard, ...]:
    """The same of what a playbook wants, for runs that touch this."""
    targets = of.targets
    playbook: Among = (("playbook_id", of.playbook_id),)
    among: Mapping[str, Sequence[Among]] = {
        "overall": [()],
        "service": [(("service", each),) for each in of.services],
        "playbook": [playbook],
        "rule": [(*playbook, ("rule_id", of.rule_id))],
        "target": [(*playbook, ("target", each)) for each in targets],
    }
    lock = wanted.lock or TargetLock()
    busy: Then = "wait" if lock.on_busy == "queue" else "skip"
    guards = [Guard("lock", (("target", t),), "held", then=busy) for t in targets if t]
    if lock.per == "service":
        guards += [Guard("lock", each, "held", then=busy) for each in among["service"]]
    if (several := wanted.concurrency) is not None:
        at_most = several.max - 1
        guards += [
            Guard("concurrency", each, "held", at_most, then="wait") for each in among[several.per]
        ]
    if (breaker := wanted.breaker) is not None:
        at_most, within = breaker.failures - 1, LONGEST_LOOK_BACK
        guards += [Guard("breaker", a, "failed", at_most, within) for a in among[breaker.per]]
    if (cooldown := wanted.cooldown) is not None:
        within = parse_duration(cooldown.for_)
        guards += [Guard("cooldown", a, "released", 0, within) for a in among[cooldown.per]]
    if (budget := wanted.budget) is not None:
        within = parse_duration(budget.within)
        guards += [Guard("budget", a, "taken", budget.runs - 1, within) for a in among[budget.per]]
    if (changes := limits.changes) is not None:
        at_most, within = changes.max - 1, parse_duration(changes.within)
        then: Then = "wait" if within <= HELD_AT_MOST else "skip"
        every = {**among, "target": [(("target", each),) for each in targets]}[changes.per]
        guards += [Guard("changes", each, "taken", at_most, within, then) for each in every]
    if (again := wanted.recurrence) is not None:
        at_most, within = again.times - 2, parse_duration(again.within)
        guards += [
            Guard("recurrence", each, "taken", at_most, within, "ask")
            for each in among["target"]
            if dict(each)["target"]
        ]
    return tuple(guards)


def services_of(plan: Plan, inventory: Inventory, otherwise: str) -> Mapping[str, str]:
    """The service of each target that a plan changes; `otherwise` where it is of none."""
    return {each: inventory.service_of(each) or otherwise for each in plan.changed_targets}


def reservations_of(
    plan: Plan, services: Mapping[str, str], *, rule_id: str, incident: IncidentName, at: datetime
) -> tuple[Reservation, ...]:
    """What the first intent of a plan reserves; `services` are those of its targets."""
    return tuple(
        Reservation(
            run_id=plan.run_id,
            target=target,
            playbook_id=plan.playbook_id,
            rule_id=rule_id,
            service=services[target],
            incident_id=incident.id,
            incident=incident.name,
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

    `reserved` gives the reservations among which a guard counts; the run's own don't count, nor
    does what is no run's.
    """
    for guard in guards:
        found = [each for each in reserved(guard) if each.run_id != run_id]
        others = [each for each in found if each.outcome != OUTSIDE]
        if guard.counts == "failed":
            refusal = _broken(guard, others)
        else:
            refusal = _counted(guard, [each for each in others if _counts(guard, each, now)])
        if refusal is not None:
            return refusal
    return None


def failed_in_a_row(reservations: Iterable[Reservation]) -> tuple[list[str], bool]:
    """(the runs that failed since the last one that was proven, whether a trial is allowed).

    A failure that was excused allows one run to try: these are then the runs since.
    """
    ended = [each for each in reservations if each.released_at is not None]
    failed: dict[str, None] = {}
    for each in sorted(ended, key=lambda each: (each.released_at, each.run_id), reverse=True):
        if each.outcome in ("succeeded", EXCUSED):
            return list(failed), each.outcome == EXCUSED
        if each.outcome in FAILURES:
            failed[each.run_id] = None
    return list(failed), False


def _broken(guard: Guard, others: Sequence[Reservation]) -> Refusal | None:
    failed, trial = failed_in_a_row(others)
    what = _what(guard)
    held = [e for e in others if e.released_at is None and e.outcome != TAKES_BACK]
    verb = f"`quell breaker try {dict(guard.among)['playbook_id']}` lets one more run try"
    if trial and failed:
        told = f"the run that was let try {what} failed too; {verb}"
        return Refusal("breaker", told, waits=False)
    if trial and held:
        told = f"the run of {held[-1].incident} tries {what} after failures"
        return Refusal("breaker", told, waits=True)
    if len(failed) > guard.at_most:
        told = f"the last {len(failed)} runs of {what} did not help; {verb}"
        return Refusal("breaker", told, waits=False)
    return None


def _counted(guard: Guard, others: Sequence[Reservation]) -> Refusal | None:
    if len({each.run_id for each in others}) <= guard.at_most:
        return None
    return Refusal(guard.name, _reason(guard, others), waits=guard.then == "wait")


def _counts(guard: Guard, reservation: Reservation, now: datetime) -> bool:
    match guard.counts:
        case "held":
            return reservation.released_at is None
        case "released":
            return reservation.released_at is None or reservation.released_at > now - guard.within
        case "taken":
            return reservation.taken_at > now - guard.within
        case "failed":
            return reservation.outcome in FAILURES


def runs_on(playbook_id: str, *places: str) -> str:
    """Whose runs, and where: `restart-vllm on gpu-07`; "" is every playbook, or no place."""
    told = playbook_id or "all playbooks together"
    return told + "".join(f" on {each}" for each in places if each)


def _what(guard: Guard) -> str:
    where = dict(guard.among)
    places = (where.get(column, "") for column in ("target", "service"))
    return runs_on(where.get("playbook_id", ""), *places)


def _reason(guard: Guard, others: Sequence[Reservation]) -> str:
    latest = max(others, key=lambda each: each.taken_at)
    what, within = _what(guard), format_duration(guard.within)
    incidents = ", ".join(dict.fromkeys(each.incident for each in others))
    match guard.name:
        case "lock":
            locked = dict(guard.among).get("target") or dict(guard.among).get("service")
            return f"{locked} is locked by the run of {latest.incident}"
        case "concurrency":
            at_once = f"{guard.at_most + 1} at once"
            return f"{what} may run {at_once}, and does ({incidents})"
        case "cooldown":
            ended = latest.released_at
            when = f"ended at {ended:%H:%M:%S} UTC" if ended else "is under way"
            return f"{what} {when} ({latest.incident}), and cools down for {within}"
        case "recurrence":
            return (
                f"{what} would be for the {guard.at_most + 2}. time within {within} "
                f"({incidents}): it does not last, so open a ticket for the cause"
            )
        case "changes":
            at_most = f"{guard.at_most + 1} times within {within}"
            return f"policy lets {what} begin {at_most}, and {incidents} did"
        case _:
            return f"{what} may run {guard.at_most + 1} times within {within}, and did"
