"""What can be written into the journal: one frozen model a kind, versioned by `kind@version`.

Readers must never fail on an old entry: a change of shape is a new version with an upcast.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, JsonValue

RunOutcome = Literal[
    "succeeded",
    "failed",
    "partial",
    "unknown",
    "skipped",
    "not_needed",
    "cancelled",
    "expired",
]
AttemptOutcome = Literal["succeeded", "failed", "unknown", "cancelled"]
StepPhase = Literal["investigate", "precheck", "steps", "verify", "rollback"]
Decision = Literal["approved", "rejected", "expired"]


def moment(text: str) -> datetime:
    """The aware time of an RFC 3339 text in an event."""
    return datetime.fromisoformat(text)


class Event(BaseModel):
    """Root of all event bodies."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    KIND: ClassVar[str]


class IncidentOpened(Event):
    """A new incident; `number` is what people see."""

    KIND = "incident.opened@1"
    incident_id: str
    number: int
    correlation_key: str
    partition_key: str
    rule_id: str
    severity: Literal["P1", "P2", "P3", "P4"]
    title: str
    mode: Literal["observe", "suggest", "approve", "auto"]
    service: str = ""
    environment: str = ""
    team: str = ""
    group: Mapping[str, str] = {}
    previous_id: str = ""
    notify: tuple[str, ...] = ()
    postmortem: bool = False
    reasons: tuple[str, ...] = ()


class OccurrenceJoined(Event):
    """Occurrences that now belong to the incident; `alerts` summarises the first few of them."""

    KIND = "occurrence.joined@1"
    occurrence_ids: tuple[str, ...]
    digest: str
    alerts: tuple[Mapping[str, JsonValue], ...] = ()


class OccurrenceEnded(Event):
    """Occurrences of the incident that no longer fire, and why."""

    KIND = "occurrence.ended@1"
    occurrence_ids: tuple[str, ...]
    by: Literal["source", "expiry"]


class IncidentResolved(Event):
    """Nothing of it fires any more."""

    KIND = "incident.resolved@1"


class IncidentReopened(Event):
    """It fires again within the time in which that is the same incident."""

    KIND = "incident.reopened@1"


class IncidentClosed(Event):
    """It stayed resolved; the next alert opens a new, linked one."""

    KIND = "incident.closed@1"


class IncidentAcknowledged(Event):
    """A person said: I see it."""

    KIND = "incident.acknowledged@1"
    note: str = ""


class RunCreated(Event):
    """A trigger started a run. `parameters` are typed and complete; `trigger` is its unique key."""

    KIND = "run.created@1"
    run_id: str
    trigger: str
    attempt: int
    playbook_id: str
    playbook_hash: str
    parameters: Mapping[str, JsonValue]
    mode: Literal["observe", "suggest", "approve", "auto"]
    mode_decided_by: str
    reason: str


class StepObserved(Event):
    """A read ran: evidence, precheck or one look of a verification."""

    KIND = "step.observed@1"
    run_id: str
    phase: StepPhase
    step_id: str
    outcome: Literal["succeeded", "failed"]
    holds: bool | None = None
    description: str = ""
    outputs: Mapping[str, JsonValue] = {}
    evidence: str = ""
    error: str = ""
    duration_s: float = 0.0


class RunPlanned(Event):
    """The plan, frozen: `plan` holds the exact bytes hashed, as text."""

    KIND = "run.planned@1"
    run_id: str
    revision: int
    plan: str
    plan_hash: str
    mode: Literal["observe", "suggest", "approve", "auto"]
    mode_decided_by: str
    holes: tuple[str, ...] = ()


class ApprovalRequested(Event):
    """Somebody is asked; `expires_at` is RFC 3339."""

    KIND = "approval.requested@1"
    run_id: str
    approval_id: str
    plan_hash: str
    ask: tuple[str, ...]
    quorum: int
    expires_at: str


class ApprovalDecided(Event):
    """The answer, or its absence; `via` is the surface (slack, cli, api, clock)."""

    KIND = "approval.decided@1"
    run_id: str
    approval_id: str
    plan_hash: str
    decision: Decision
    via: str
    reason: str = ""


class AttemptIntended(Event):
    """The point of no return of one attempt; `not_after` (RFC 3339) bounds its effect.

    `before` is what a probe will compare with, looked at just before.
    """

    KIND = "attempt.intended@1"
    run_id: str
    attempt_id: str
    phase: StepPhase
    step_id: str
    number: int
    description: str
    effect: Literal["change", "destroy"]
    targets: tuple[str, ...]
    not_after: str
    before: Mapping[str, JsonValue] = {}


class AttemptEnded(Event):
    """What is known of an attempt afterwards; `begun` is False when it surely never started."""

    KIND = "attempt.ended@1"
    run_id: str
    attempt_id: str
    phase: StepPhase
    step_id: str
    outcome: AttemptOutcome
    begun: bool = True
    outputs: Mapping[str, JsonValue] = {}
    evidence: str = ""
    error: str = ""
    duration_s: float = 0.0


class AttemptProbed(Event):
    """What a look at the target told about an attempt whose outcome was unknown."""

    KIND = "attempt.probed@1"
    run_id: str
    attempt_id: str
    phase: StepPhase
    step_id: str
    answer: Literal["done", "not_done", "in_progress", "cannot_tell"]
    evidence: str = ""


class StepSkipped(Event):
    """A step's `if` was false, or failed to evaluate (then `reason` says how)."""

    KIND = "step.skipped@1"
    run_id: str
    phase: StepPhase
    step_id: str
    reason: str


class VerificationStarted(Event):
    """From here the `within` of the verification counts."""

    KIND = "verification.started@1"
    run_id: str


class VerificationEnded(Event):
    """Whether everything held for as long as the playbook wants."""

    KIND = "verification.ended@1"
    run_id: str
    holds: bool
    reason: str = ""


class RunCancelled(Event):
    """A person ended the run, or a stop did; what is under way is not undone."""

    KIND = "run.cancelled@1"
    run_id: str
    reason: str = ""


class RunEnded(Event):
    """Every run ends once, with an outcome and its reason."""

    KIND = "run.ended@1"
    run_id: str
    outcome: RunOutcome
    reason: str


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
    key: str
    url: str


class StopOrdered(Event):
    """From here nothing that this covers may change anything (chain `access`).

    `name` is the rule's or playbook's id, "" for all.
    """

    KIND = "stop.ordered@1"
    scope: Literal["all", "rule", "playbook"]
    name: str
    reason: str
    via: str


class StopLifted(Event):
    """A stop is over: new runs may change things again (chain `access`)."""

    KIND = "stop.lifted@1"
    scope: Literal["all", "rule", "playbook"]
    name: str
    reason: str
    via: str


class CatalogActivated(Event):
    """From here decisions are made with this catalog version (chain `system`)."""

    KIND = "catalog.activated@1"
    version: str
    files: Mapping[str, str]


class CheckpointSigned(Event):
    """The heads (chain, seq, entry hash) of the chains that grew since the checkpoint before it.

    On chain `system`, numbered from 1; `previous` is the hash of the one before, and `at` RFC 3339.
    `key_id` and `signature` (base64) are "" where the installation has no signing key.
    """

    KIND = "checkpoint.signed@1"
    number: int
    previous: str
    at: str
    heads: tuple[tuple[str, int, str], ...]
    root: str
    key_id: str = ""
    signature: str = ""


class DeadLetterReplayed(Event):
    """A person had a kept body or record taken in again, as `alerts` alerts (chain `access`)."""

    KIND = "deadletter.replayed@1"
    letter_id: str
    source: str
    alerts: int
    via: str


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
        DeadLetterReplayed,
        CheckpointSigned,
    )
}
