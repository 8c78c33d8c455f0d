"""What a guard wants and what it does otherwise, in a line for people: of plans and of runbooks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from pydantic import JsonValue

from engine.core.blast_radius import Radius
from engine.core.documents import BlastRadius, ExpectedAlerts, Guards, Requires
from engine.core.durations import format_duration, parse_duration
from engine.core.freezes import DEFERRED_AT_MOST, CheckedFreeze
from engine.core.guards import HELD_AT_MOST, Column, Guard, Then, Touched, guards_over, runs_on
from engine.core.recent_changes import lately_changed
from engine.core.storm_brake import CheckedBrake

By = Literal["playbook", "policy", "quell"]

NAMED_AT_MOST = 3
_BY: Mapping[str, By] = {
    "lock": "quell",
    "others_at_work": "quell",
    "caused_by": "quell",
    "changes": "policy",
}
_OTHERWISE: Mapping[Then, str] = {
    "wait": "it waits",
    "skip": "it is skipped",
    "ask": "it asks, in auto too",
}
_FREEZES: Mapping[str, Then] = {"defer": "wait", "skip": "skip", "ask": "ask"}


@dataclass(frozen=True, slots=True)
class ToldGuard:
    """One guard: its word in a playbook or policy, the line, and what it does where it says no.

    `then` is "" for what only lets things be. `figures` are what the line counts by.
    """

    guard: str
    text: str
    then: Then | Literal[""]
    by: By
    figures: Mapping[str, JsonValue] = field(default_factory=dict)


def otherwise(holds: str, then: Then) -> str:
    """What has to hold, and what follows where it doesn't."""
    return f"{holds}; else {_does(then, HELD_AT_MOST)}"


def _does(then: Then, longest: timedelta) -> str:
    return _OTHERWISE[then] + (f", {format_duration(longest)} at most" if then == "wait" else "")


def told_written(wanted: Guards, playbook_id: str) -> Iterator[ToldGuard]:
    """The guards that a playbook's text has, for whatever a run of it touches."""
    same = Touched(playbook_id, "the same rule", ("the same target",), ("the same service",))
    written = wanted.model_fields_set
    yield from told_counts(each for each in guards_over(wanted, same) if each.name in written)
    if (others := wanted.others_at_work) is not None:
        yield from told_counts([lately_changed(same.targets[0], parse_duration(others.within))])
    if wanted.blast_radius is not None:
        yield _told_group(wanted.blast_radius)
    if wanted.requires is not None:
        yield told_requires(wanted.requires)
    if wanted.expected_alerts is not None:
        yield told_expected(wanted.expected_alerts)


def told_counts(guards: Iterable[Guard]) -> Iterator[ToldGuard]:
    """Guards that count runs: one line for all that differ only in where they count.

    Of those that count the same the first one has its say.
    """
    alike: dict[tuple[object, ...], list[Guard]] = {}
    first: dict[tuple[object, ...], Guard] = {}
    for guard in guards:
        first.setdefault((guard.name, guard.among, guard.at_most, guard.within), guard)
    for guard in first.values():
        where = dict(guard.among)
        # What was changed lately is looked for on targets and services alike.
        columns = () if guard.name in ("caused_by", "others_at_work") else tuple(where)
        owner = where.get("playbook_id"), where.get("rule_id")
        key = (guard.name, columns, owner, guard.at_most, guard.within, guard.then)
        alike.setdefault(key, []).append(guard)
    for group in alike.values():
        guard = group[0]
        figures: dict[str, JsonValue] = {"other_runs": guard.at_most}
        if guard.counts in ("released", "taken"):
            figures["within"] = format_duration(guard.within)
        figures["among"] = [dict(each.among) for each in group]
        text = otherwise(_holds(group), guard.then)
        if guard.name == "breaker":
            text += f"; `quell breaker try {dict(guard.among)['playbook_id']}` lets one try"
        by = _BY.get(guard.name, "playbook")
        yield ToldGuard(guard.name, text, guard.then, by, figures)


def _holds(group: Sequence[Guard]) -> str:
    guard = group[0]
    where, within = dict(guard.among), format_duration(guard.within)
    found = [dict(each.among) for each in group]
    places = [each.get("target") or each.get("service") or "" for each in found]
    what = runs_on(where.get("playbook_id", ""), _several("each of", places))
    what += " by the same rule" if "rule_id" in where else ""
    anywhere = _several("any of", places)
    match guard.name:
        case "lock":
            return f"no other run is at work on {anywhere}"
        case "concurrency":
            return f"at most {_runs(guard.at_most + 1)} of {what} at once"
        case "breaker":
            if not guard.at_most:
                return f"the last run of {what} did not fail"
            return f"the last {guard.at_most + 1} runs of {what} did not all fail"
        case "cooldown":
            return f"{within} since the end of the last run of {what}"
        case "recurrence":
            return f"fewer than {guard.at_most + 2} runs of {what} within {within}, with this one"
        case "others_at_work":
            return f"nobody else changed {_or_as_a_whole(found)} within {within}"
        case "caused_by":
            return f"no other change of {anywhere} within {within} before the alert"
        case _:
            return f"at most {_runs(guard.at_most + 1)} of {what} within {within}"


def _or_as_a_whole(found: Sequence[Mapping[Column, str]]) -> str:
    targets = [each["target"] for each in found if each["target"]]
    services = [each["service"] for each in found if not each["target"]]
    whole = [f"{_several('any of', services)} as a whole"] if services else []
    return ", or ".join(([_several("any of", targets)] if targets else []) + whole)


def _runs(number: int) -> str:
    return f"{number} run" if number == 1 else f"{number} runs"


def _several(each_of: str, names: Sequence[str]) -> str:
    known = [name for name in names if name]
    return named(known) if len(known) < 2 else f"{each_of} {named(known)}"


def named(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = len(names) - NAMED_AT_MOST
    told = ", ".join(names[:NAMED_AT_MOST])
    return f"{told} and {more} more" if more > 0 else told


def told_radius(radius: Radius, batches: Sequence[frozenset[str]]) -> ToldGuard:
    """What may be unavailable at once; `batches` are what a run touches, one after the other."""
    members = frozenset(radius.members)
    touched = [batch & {*members, ""} for batch in batches]
    most = max(touched, key=len)
    size, at_most = len(members), radius.at_most
    share = f"{at_most}" if str(radius.share) == f"{at_most}" else f"{at_most} ({radius.share})"
    group = radius.service or "the fleet"
    name = f"the {size} targets of {group}" if size > 1 else f"the one target of {group}"
    asked = ", by Prometheus' word too" if radius.asks else ""
    touches = f"{len(most) or 'none'}"
    if len(batches) > 1:
        touches += f" at a time, in {len(batches)} batches"
    elif most:
        touches += f" ({named(sorted(each or 'one that nobody knows' for each in most))})"
    holds = f"{_unavailable(share, name)}{asked}, and this touches {touches}"
    text = otherwise(holds, "wait")
    if not members:
        text = f"the inventory has no target of {group}, so it can't begin"
    elif not most:
        text = f"{holds}, so it never says no"
    elif len(most) > at_most:
        number = next(n for n, batch in enumerate(touched, 1) if len(batch) > at_most)
        ends = "it can't begin" if number == 1 else f"it ends before batch {number}"
        text = f"{holds}: too many, so {ends}"
    figures: dict[str, JsonValue] = {
        "of": radius.service,
        "size": size,
        "at_most": at_most,
        "touches": list[JsonValue](sorted(most)),
        "batches": len(batches),
    }
    word = "blast_radius" if radius.service else "fleet_unavailable"
    return ToldGuard(word, text, "wait", "playbook" if radius.service else "policy", figures)


def _unavailable(share: str, of: str) -> str:
    """How many of what may be unavailable at once."""
    return f"at most {share} of {of} unavailable at once"


def _told_group(wanted: BlastRadius) -> ToldGuard:
    """The same while nobody knows yet which targets that are."""
    text = otherwise(_unavailable(str(wanted.max_unavailable), wanted.group), "wait")
    return ToldGuard("blast_radius", text, "wait", "playbook")


def told_requires(wanted: Requires) -> ToldGuard:
    """What has to be healthy."""
    holds = [f"{', '.join(wanted.healthy)} healthy"] if wanted.healthy else []
    if (check := wanted.check) is not None:
        holds.append(f"{check.description or check.id}: {check.until}")
    figures: dict[str, JsonValue] = {
        "healthy": list(wanted.healthy),
        "check": check.id if check is not None else None,
    }
    text = otherwise(", and ".join(holds), wanted.otherwise)
    return ToldGuard("requires", text, wanted.otherwise, "playbook", figures)


def told_expected(expected: ExpectedAlerts) -> ToldGuard:
    """Whose alerts wait meanwhile."""
    matchers = ", ".join(expected.matchers)
    text = f"alerts of what it changes wait until {expected.after} after its end: {matchers}"
    figures: dict[str, JsonValue] = {"matchers": list(expected.matchers), "after": expected.after}
    return ToldGuard("expected_alerts", text, "", "playbook", figures)


def told_freeze(freeze: CheckedFreeze, now: datetime) -> ToldGuard:
    """A freeze that is in force, or when it begins and what it does then."""
    in_force, change = freeze.calendar.contains(now), freeze.calendar.next_change(now)
    then = _FREEZES[freeze.policy]
    at = f"{change:%a %Y-%m-%d %H:%M} UTC" if change is not None else ""
    when = f"in force until {at or 'somebody ends it'}: " if in_force else f"from {at} on: "
    text = f"{freeze.id} ({freeze.why}) {when}{_does(then, DEFERRED_AT_MOST)}"
    figures: dict[str, JsonValue] = {
        "id": freeze.id,
        "in_force": in_force,
        "until" if in_force else "from": change.isoformat() if change is not None else None,
    }
    return ToldGuard("freeze", text, then, "policy", figures)


def told_brake(brake: CheckedBrake, services: int) -> ToldGuard:
    """What makes a storm; `services` is how many the inventory knows."""
    at_least, within = brake.at_least(services), format_duration(brake.within)
    holds = f"incidents opened on fewer than {at_least} services within {within}"
    text = f"{holds}; else a run in auto asks, until `quell brake lift`"
    figures: dict[str, JsonValue] = {"services": at_least, "within": within}
    return ToldGuard("storm_brake", text, "ask", "policy", figures)
