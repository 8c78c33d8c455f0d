"""What can be written into the journal: one frozen model a kind, versioned by `kind@version`.

Readers must never fail on an old entry: a change of shape is a new version with an upcast.
"""

from collections.abc import Mapping

from engine.core.events.event import (
    Event,
    moment,
)
from engine.core.events.incidents import (
    IncidentAcknowledged,
    IncidentClosed,
    IncidentOpened,
    IncidentReopened,
    IncidentResolved,
    MessageSent,
    OccurrenceEnded,
    OccurrenceJoined,
    PostmortemWritten,
    TicketOpened,
)
from engine.core.events.installation import (
    CatalogActivated,
    CheckpointSigned,
    DeadLetterReplayed,
    StopLifted,
    StopOrdered,
)
from engine.core.events.runs import (
    ApprovalDecided,
    ApprovalRequested,
    AttemptEnded,
    AttemptIntended,
    AttemptOutcome,
    AttemptProbed,
    Decision,
    RunCancelled,
    RunCreated,
    RunEnded,
    RunOutcome,
    RunPlanned,
    StepObserved,
    StepPhase,
    StepSkipped,
    VerificationEnded,
    VerificationStarted,
)

EVENTS: Mapping[str, type[Event]] = {
    event.KIND: event
    for event in (
        IncidentOpened,
        OccurrenceJoined,
        OccurrenceEnded,
        IncidentResolved,
        IncidentReopened,
        IncidentClosed,
        IncidentAcknowledged,
        RunCreated,
        StepObserved,
        RunPlanned,
        ApprovalRequested,
        ApprovalDecided,
        AttemptIntended,
        AttemptEnded,
        AttemptProbed,
        StepSkipped,
        VerificationStarted,
        VerificationEnded,
        RunCancelled,
        RunEnded,
        MessageSent,
        PostmortemWritten,
        TicketOpened,
        StopOrdered,
        StopLifted,
        CatalogActivated,
        CheckpointSigned,
        DeadLetterReplayed,
    )
}

__all__ = [
    "EVENTS",
    "ApprovalDecided",
    "ApprovalRequested",
    "AttemptEnded",
    "AttemptIntended",
    "AttemptOutcome",
    "AttemptProbed",
    "CatalogActivated",
    "CheckpointSigned",
    "DeadLetterReplayed",
    "Decision",
    "Event",
    "IncidentAcknowledged",
    "IncidentClosed",
    "IncidentOpened",
    "IncidentReopened",
    "IncidentResolved",
    "MessageSent",
    "OccurrenceEnded",
    "OccurrenceJoined",
    "PostmortemWritten",
    "RunCancelled",
    "RunCreated",
    "RunEnded",
    "RunOutcome",
    "RunPlanned",
    "StepObserved",
    "StepPhase",
    "StepSkipped",
    "StopLifted",
    "StopOrdered",
    "TicketOpened",
    "VerificationEnded",
    "VerificationStarted",
    "moment",
]
