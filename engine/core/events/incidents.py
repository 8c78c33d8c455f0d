"""What happens to an incident, beside its runs (chain `incident/<id>`)."""

from collections.abc import Mapping
from typing import Literal

from pydantic import JsonValue

from engine.core.events.event import Brief, Event, Title


class IncidentOpened(Event):
    """A new incident; `number` is what people see."""

    KIND = "incident.opened@1"
    incident_id: str
    number: int
    correlation_key: str
    partition_key: str
    rule_id: str
    severity: Literal["P1", "P2", "P3", "P4"]
    title: Title
    mode: Literal["observe", "suggest", "approve", "auto"]
    service: str = ""
    environment: str = ""
    team: str = ""
    group: Mapping[str, str] = {}
    previous_id: str = ""
    notify: tuple[str, ...] = ()
    postmortem: bool = False
    reasons: tuple[Brief, ...] = ()
    # The decision's own time, RFC 3339: that of the record; "" is the entry's.
    decided_at: str = ""
    # Under which of these keys a firing alert explains this incident; see engine.core.conditions.
    explained_by: tuple[str, ...] = ()


class OccurrenceJoined(Event):
    """Occurrences that now belong to the incident, each once in its chain.

    `alerts` summarises the first few of them.
    """

    KIND = "occurrence.joined@1"
    occurrence_ids: tuple[str, ...]
    digest: str
    alerts: tuple[Mapping[str, JsonValue], ...] = ()


class OccurrenceEnded(Event):
    """Occurrences that joined the incident and no longer fire, each once in its chain, and why."""

    KIND = "occurrence.ended@1"
    occurrence_ids: tuple[str, ...]
    by: Literal["source", "expiry"]


class OccurrenceAbsorbed(Event):
    """Occurrences of the incident that a failure of what their service needs explains.

    They left it, and are asked again when that failure is over. `cause` is the incident of that
    failure as people call it.
    """

    KIND = "occurrence.absorbed@1"
    occurrence_ids: tuple[str, ...]
    cause: str


class IncidentAbsorbed(Event):
    """All that fires of it is explained by another incident, which goes on instead."""

    KIND = "incident.absorbed@1"
    cause: str


class IncidentFlapping(Event):
    """Its alerts begin so often that it stays open until nothing has fired for `stable_for_s`."""

    KIND = "incident.flapping@1"
    started: int
    within_s: float
    stable_for_s: float


class SeverityRaised(Event):
    """It grew; `postmortem` is whether its new severity asks for one."""

    KIND = "incident.severity_raised@1"
    severity: Literal["P1", "P2", "P3", "P4"]
    reason: Brief
    postmortem: bool = False


class SlaMissed(Event):
    """What its severity promises wasn't kept in time."""

    KIND = "incident.sla_missed@1"
    clock: Literal["acknowledge", "mitigate", "resolve"]
    severity: Literal["P1", "P2", "P3", "P4"]
    within_s: float


class IncidentResolved(Event):
    """Nothing of it fires any more; `decided_at` is as in IncidentOpened."""

    KIND = "incident.resolved@1"
    decided_at: str = ""


class IncidentReopened(Event):
    """It fires again within the time in which that is the same incident."""

    KIND = "incident.reopened@1"


class IncidentClosed(Event):
    """It stayed resolved; the next alert opens a new, linked one."""

    KIND = "incident.closed@1"


class IncidentAcknowledged(Event):
    """A person said: I see it."""

    KIND = "incident.acknowledged@1"
    note: Brief = ""


class MessageSent(Event):
    """People were told; `ref` finds the message again."""

    KIND = "message.sent@1"
    notifier: str
    ref: str
    revision: int


class PostmortemWritten(Event):
    """The file, with the hash of what was written."""

    KIND = "postmortem.written@1"
    path: str
    sha256: str


class TicketOpened(Event):
    """One issue in the tracker."""

    KIND = "ticket.opened@1"
    tracker: str
    key: Brief
    url: Brief
