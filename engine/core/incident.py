"""Incidents: what people work on, folded from the journal entries of one chain."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from engine.core import events
from engine.core.copies import replace
from engine.core.ids import derived_id
from engine.core.severity import Mode, Severity

IncidentStatus = Literal["open", "resolved", "closed"]
Phase = Literal[
    "idle", "investigating", "awaiting_approval", "running", "verifying", "needs_person"
]

REOPEN_WITHIN = timedelta(minutes=30)
# The rule of an incident that a person's order opened: nothing of it ever fired.
BY_HAND = "by-hand"


@dataclass(frozen=True, slots=True)
class Incident:
    """The state of one incident after its last entry; times are aware, None until they happen.

    `open_count` is how many of its `occurrences` still fire: their number alone, so that an
    incident stays small in a storm. `run_id` is the latest run, "" when none.
    `explained_by` are keys under which a firing alert explains it; `absorbed_by` names the
    incident that did, "" when none. `missed` are the clocks that ran out. `flaps`: it stays open
    until nothing has fired for a while. `follow_ups` is what runs left to do, by their ids.
    """

    id: str
    number: int
    correlation_key: str
    partition_key: str
    rule_id: str
    severity: Severity
    title: str
    mode: Mode
    service: str
    environment: str
    team: str
    group: Mapping[str, str]
    opened_at: datetime
    updated_at: datetime
    status: IncidentStatus = "open"
    phase: Phase = "idle"
    open_count: int = 0
    occurrences: int = 0
    runs: int = 0
    run_id: str = ""
    outcome: str = ""
    acknowledged_at: datetime | None = None
    mitigated_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    previous_id: str = ""
    ticket: str = ""
    ticket_url: str = ""
    postmortem: str = ""
    notify: tuple[str, ...] = ()
    wants_postmortem: bool = False
    explained_by: tuple[str, ...] = ()
    absorbed_by: str = ""
    flaps: bool = False
    missed: tuple[str, ...] = ()
    follow_ups: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people say: INC-1234."""
        return f"INC-{self.number}"

    @property
    def run_under_way(self) -> bool:
        """Whether its latest run hasn't ended: there is one at a time."""
        return bool(self.run_id) and not self.outcome

    @property
    def by_hand(self) -> bool:
        """Whether a person's order opened it, and no alert."""
        return self.rule_id == BY_HAND


def correlation_key(rule_id: str, group: Mapping[str, str]) -> str:
    """Derived: one incident that isn't closed may exist for it, over all replicas."""
    return derived_id(
        "correlation", rule_id, *(part for k in sorted(group) for part in (k, group[k]))
    )


def incident_id(correlation: str, first_occurrence: str, previous: str = "") -> str:
    """Derived: the key, the occurrence that opened this incident, and the one before it.

    An occurrence that was absorbed by another incident may open one a second time.
    """
    return derived_id("incident", correlation, first_occurrence, *([previous] if previous else []))


def chain_of(incident: str) -> str:
    """The journal chain of an incident."""
    return f"incident/{incident}"


def opened(event: events.IncidentOpened, at: datetime) -> Incident:
    """The incident right after its first entry."""
    return Incident(
        id=event.incident_id,
        number=event.number,
        correlation_key=event.correlation_key,
        partition_key=event.partition_key,
        rule_id=event.rule_id,
        severity=Severity[event.severity],
        title=event.title,
        mode=Mode(event.mode),
        service=event.service,
        environment=event.environment,
        team=event.team,
        group=event.group,
        opened_at=_decided(event.decided_at, at),
        updated_at=at,
        previous_id=event.previous_id,
        notify=event.notify,
        wants_postmortem=event.postmortem,
        explained_by=event.explained_by,
    )


def _decided(text: str, at: datetime) -> datetime:
    """When the alert came that a decision is about, however late the decision was written."""
    return events.moment(text) if text else at


def apply(  # noqa: C901 - one case a kind of event is the simplest form
    incident: Incident, event: events.Event, at: datetime
) -> Incident:
    """The incident after one more entry of its chain; other kinds of event change only the time."""
    after = replace(incident, updated_at=at)
    match event:
        case events.OccurrenceJoined():
            joined = len(event.occurrence_ids)
            return replace(
                after,
                open_count=after.open_count + joined,
                occurrences=after.occurrences + joined,
            )
        case events.OccurrenceEnded():
            return replace(after, open_count=after.open_count - len(event.occurrence_ids))
        case events.OccurrenceAbsorbed():
            return replace(after, open_count=after.open_count - len(event.occurrence_ids))
        case events.IncidentAbsorbed():
            return replace(after, status="closed", closed_at=at, absorbed_by=event.cause)
        case events.IncidentFlapping():
            return replace(after, flaps=True)
        case events.SlaMissed():
            return replace(after, missed=(*after.missed, event.clock))
        case events.SeverityRaised():
            wanted = after.wants_postmortem or event.postmortem
            return replace(after, severity=Severity[event.severity], wants_postmortem=wanted)
        case events.IncidentResolved():
            calm: Phase = "idle" if after.phase == "needs_person" else after.phase
            over = max(after.opened_at, _decided(event.decided_at, at))
            return replace(after, status="resolved", resolved_at=over, phase=calm, flaps=False)
        case events.IncidentReopened():
            # Its run is over, and doesn't begin again by itself.
            again: Phase = "needs_person" if after.outcome else after.phase
            return replace(after, status="open", resolved_at=None, phase=again)
        case events.IncidentClosed():
            return replace(after, status="closed", closed_at=at)
        case events.IncidentAcknowledged():
            return replace(after, acknowledged_at=after.acknowledged_at or at)
        case events.PostmortemWritten():
            return replace(after, postmortem=event.path)
        case events.TicketOpened():
            return replace(after, ticket=event.key, ticket_url=event.url)
        case _:
            return _of_its_run(after, event, at)


def _of_its_run(  # noqa: C901 - as above
    after: Incident, event: events.Event, at: datetime
) -> Incident:
    """What an entry of its latest run makes of it."""
    match event:
        case events.RunCreated():
            return replace(
                after, run_id=event.run_id, runs=after.runs + 1, phase="investigating", outcome=""
            )
        case events.QuestionAsked():
            return replace(after, phase="needs_person")
        case events.QuestionAnswered():
            acknowledged = after.acknowledged_at or (at if event.answer else None)
            goes_on: Phase = "running" if event.phase == "steps" else "investigating"
            return replace(after, phase=goes_on, acknowledged_at=acknowledged)
        case events.ApprovalRequested():
            return replace(after, phase="awaiting_approval")
        case events.ApprovalDecided():
            acknowledged = after.acknowledged_at or (at if event.decision != "expired" else None)
            return replace(after, acknowledged_at=acknowledged)
        case events.AttemptIntended():
            acknowledged = after.acknowledged_at or at
            return replace(after, phase="running", acknowledged_at=acknowledged)
        case events.FollowUpOpened():
            told = {event.run_id: event.reason} | dict(after.follow_ups)
            return replace(after, follow_ups=told)
        case events.FollowUpDone():
            left = {run: what for run, what in after.follow_ups.items() if run != event.run_id}
            return replace(after, follow_ups=left)
        case events.VerificationStarted():
            return replace(after, phase="verifying")
        case events.VerificationEnded():
            mitigated = after.mitigated_at or (at if event.holds else None)
            return replace(after, mitigated_at=mitigated)
        case events.RunParked():
            return replace(after, phase="needs_person")
        case events.RunEnded():
            needed = needs_person(event, after)
            return replace(after, phase="needs_person" if needed else "idle", outcome=event.outcome)
        case _:
            return after


def needs_person(ended: events.RunEnded, incident: Incident) -> bool:
    """Whether this end of a run leaves the incident to people; what a guard stopped, while open."""
    is_well = ended.outcome in ("succeeded", "skipped", "not_needed") and not (
        ended.by_guard and incident.status == "open"
    )
    return not is_well and incident.mode is not Mode.OBSERVE
