"""What a replay of alerts came to, and how two rule sets differ over the same alerts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec import structs

from engine.core import events
from engine.core.alert import Alert
from engine.core.incident import Incident
from engine.core.severity import Mode, Severity

# What wakes people.
PAGING = frozenset({Severity.P1, Severity.P2})
_MOMENT = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Closing:
    """When alerts end: as their source says; with `after`, also where nothing came for so long.

    `then` is how long time goes on behind the last alert.
    """

    after: timedelta | None = None
    then: timedelta = timedelta(0)

    def applied(self, alert: Alert) -> Alert:
        """The alert with the end that this gives it."""
        if self.after is None or alert.status != "firing" or alert.expires_at is not None:
            return alert
        return structs.replace(alert, expires_at=alert.received_at + self.after)


@dataclass(frozen=True, slots=True)
class ReplayedRun:
    """A run that would have been; `problem` says why it couldn't start, "" where it could."""

    playbook_id: str
    mode: str
    decided_by: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ReplayedIncident:
    """One incident that would have been; `severity` is its worst, `alerts` counts occurrences."""

    number: int
    rule_id: str
    group: Mapping[str, str]
    severity: str
    mode: str
    service: str
    title: str
    status: str
    opened_at: datetime
    resolved_at: datetime | None
    ended_at: datetime | None
    alerts: int
    notify: tuple[str, ...]
    run: ReplayedRun | None
    absorbed_by: str = ""

    @property
    def pages(self) -> bool:
        """Whether it would have woken somebody."""
        tells = bool(self.notify) and self.mode != Mode.OBSERVE.value
        return tells and Severity[self.severity] in PAGING


@dataclass(frozen=True, slots=True)
class ReplayedWaiting:
    """How many alerts of a rule wait when time ends, and for what."""

    rule_id: str
    kind: str
    alerts: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """All that a replay came to. `began` and `ended` are None where there was no alert.

    `source_span` is how far apart the alerts began by what their sources say. `unmatched` counts by
    name the alerts that no rule took; `failures` are of expressions, each once. `out_of_order`
    counts alerts that were received before the one in front of them.
    """

    catalog: str
    began: datetime | None = None
    ended: datetime | None = None
    source_span: timedelta = timedelta(0)
    alerts: int = 0
    out_of_order: int = 0
    dispositions: Mapping[str, int] = field(default_factory=dict)
    incidents: Sequence[ReplayedIncident] = ()
    waiting: Sequence[ReplayedWaiting] = ()
    unmatched: Mapping[str, int] = field(default_factory=dict)
    failures: Sequence[str] = ()

    @property
    def is_cramped(self) -> bool:
        """Whether the alerts were all received at about one time, long after they happened.

        So it is where old payloads are normalised: that stamps when it read them.
        """
        if self.began is None or self.ended is None:
            return False
        return self.ended - self.began < _MOMENT <= self.source_span


def replayed_incident(incident: Incident, story: Iterable[events.Event]) -> ReplayedIncident:
    """An incident as its own entries tell it."""
    run: ReplayedRun | None = None
    for event in story:
        if isinstance(event, events.RunCreated):
            run = ReplayedRun(event.playbook_id, event.mode, event.mode_decided_by)
        elif isinstance(event, events.RunEnded) and run is not None:
            run = ReplayedRun(run.playbook_id, run.mode, run.decided_by, event.reason)
    return ReplayedIncident(
        number=incident.number,
        rule_id=incident.rule_id,
        group=incident.group,
        severity=incident.severity.name,
        mode=incident.mode.value,
        service=incident.service,
        title=incident.title,
        status=incident.status,
        opened_at=incident.opened_at,
        resolved_at=incident.resolved_at,
        ended_at=incident.resolved_at or incident.closed_at,
        alerts=incident.occurrences,
        notify=incident.notify,
        run=run,
        absorbed_by=incident.absorbed_by,
    )


@dataclass(frozen=True, slots=True)
class Changed:
    """An incident that both rule sets open, and what is different about it."""

    before: ReplayedIncident
    after: ReplayedIncident

    @property
    def differences(self) -> Mapping[str, tuple[str, str]]:
        """By word: what it was and what it is."""
        pairs = {
            "severity": (self.before.severity, self.after.severity),
            "mode": (self.before.mode, self.after.mode),
            "run": (_run(self.before), _run(self.after)),
            "page": (_yes(self.before.pages), _yes(self.after.pages)),
        }
        return {word: pair for word, pair in pairs.items() if pair[0] != pair[1]}


def _run(incident: ReplayedIncident) -> str:
    run = incident.run
    if run is None:
        return "none"
    return f"{run.playbook_id} ({run.mode})" + (" can't start" if run.problem else "")


def _yes(value: bool) -> str:  # noqa: FBT001 - it is what is spelled
    return "yes" if value else "no"


@dataclass(frozen=True, slots=True)
class RuleDifference:
    """What one rule does differently: incidents that only one of the sets opens, and changed ones.

    `before` and `after` count what the rule opened in all.
    """

    rule_id: str
    before: int
    after: int
    lost: Sequence[ReplayedIncident]
    gained: Sequence[ReplayedIncident]
    changed: Sequence[Changed]


def compared(before: Replayed, after: Replayed) -> Sequence[RuleDifference]:
    """By rule, those that differ. An incident is the same where rule, group and time meet."""
    left, right = _by_rule(before), _by_rule(after)
    found = [
        _difference(rule, left.get(rule, ()), right.get(rule, ()), before.ended)
        for rule in sorted({*left, *right})
    ]
    return [each for each in found if each.lost or each.gained or each.changed]


def _by_rule(replayed: Replayed) -> Mapping[str, Sequence[ReplayedIncident]]:
    found: dict[str, list[ReplayedIncident]] = {}
    for each in replayed.incidents:
        found.setdefault(each.rule_id, []).append(each)
    return found


def _difference(
    rule: str,
    before: Sequence[ReplayedIncident],
    after: Sequence[ReplayedIncident],
    ended: datetime | None,
) -> RuleDifference:
    waiting: dict[tuple[tuple[str, str], ...], list[ReplayedIncident]] = {}
    for each in before:
        waiting.setdefault(_group(each), []).append(each)
    gained: list[ReplayedIncident] = []
    changed: list[Changed] = []
    for each in after:
        same = waiting.get(_group(each), [])
        partner = next((other for other in same if _meet(other, each, ended)), None)
        if partner is None:
            gained.append(each)
            continue
        same.remove(partner)
        pair = Changed(partner, each)
        if pair.differences:
            changed.append(pair)
    lost = [each for left in waiting.values() for each in left]
    lost.sort(key=lambda each: each.number)
    return RuleDifference(rule, len(before), len(after), lost, gained, changed)


def _group(incident: ReplayedIncident) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(incident.group.items()))


def _meet(one: ReplayedIncident, other: ReplayedIncident, ended: datetime | None) -> bool:
    """Whether there was a moment at which both were open."""
    first, second = sorted((one, other), key=lambda each: each.opened_at)
    until = first.ended_at or ended
    return until is None or second.opened_at <= until
