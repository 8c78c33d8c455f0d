"""The HTTP API's orders and answers: what the gateway and the client both speak.

An order refuses unknown members, so that a misspelt one never passes for a default. An answer
ignores them, so that a client goes on working against a newer server.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, model_validator

# How the command line names itself, so that the journal can tell its orders from a program's.
TERMINAL_AGENT = "quell-cli"


class Order(BaseModel):
    """Root of what a caller sends."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Answer(BaseModel):
    """Root of what a server sends."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class DecisionOrder(Order):
    """The answer to a request for approval; `plan_hash` is the one that was shown."""

    decision: Literal["approve", "reject"]
    plan_hash: str = Field(min_length=1, max_length=200)
    reason: str = Field(default="", max_length=2000)


class RunOrder(Order):
    """A run by hand; with `dry_run` it looks and plans, and changes and asks nothing."""

    playbook: str = Field(min_length=1, max_length=200)
    parameters: Mapping[str, JsonValue] = {}
    reason: str = Field(default="", max_length=2000)
    dry_run: bool = False


class AcknowledgeOrder(Order):
    """I see it."""

    note: str = Field(default="", max_length=2000)


class CancelOrder(Order):
    """End a run's plan."""

    reason: str = Field(default="", max_length=2000)


class KeepOrder(Order):
    """Let stay what a run changed for the moment."""

    reason: str = Field(min_length=1, max_length=2000)


class ResumeOrder(Order):
    """Lift a stop, named as it was ordered: `name` is a rule's or playbook's id, "" for all."""

    scope: Literal["all", "rule", "playbook"]
    name: str = Field(default="", max_length=200)
    reason: str = Field(default="", max_length=2000)

    @model_validator(mode="after")
    def _names_what_it_is_about(self) -> Self:
        if (self.scope == "all") == bool(self.name):
            raise ValueError(
                "`name` is a rule's or playbook's id; with the scope `all` leave it out"
            )
        return self


class StopOrder(ResumeOrder):
    """Let nothing that this covers change anything more."""

    reason: str = Field(min_length=1, max_length=2000)


class SilenceOrder(Order):
    """Silence what all of these matchers hold for, from `starts_at`, or now, until `ends_at`."""

    matchers: tuple[str, ...] = Field(min_length=1, max_length=20)
    ends_at: AwareDatetime
    starts_at: AwareDatetime | None = None
    comment: str = Field(min_length=1, max_length=2000)
    origin: str = Field(default="", max_length=500)


class EndSilenceOrder(Order):
    """End a silence before its time."""

    reason: str = Field(default="", max_length=2000)


class PositionOrder(Order):
    """Send a stopped partition on: to an offset, its first record, or behind its last."""

    to: Annotated[int, Field(ge=0, strict=True)] | Literal["first", "end"]
    reason: str = Field(min_length=1, max_length=2000)


class IncidentAnswer(Answer):
    """One incident; `number` is the 12 of INC-12, `run_id` the latest run's, "" when none."""

    id: str
    number: int
    name: str
    severity: str
    status: str
    phase: str
    title: str
    rule_id: str
    mode: str
    service: str
    environment: str
    team: str
    group: Mapping[str, str]
    occurrences: int
    open_occurrences: int
    runs: int
    run_id: str
    outcome: str
    opened_at: datetime
    updated_at: datetime
    acknowledged_at: datetime | None
    mitigated_at: datetime | None
    resolved_at: datetime | None
    closed_at: datetime | None
    previous_id: str
    absorbed_by: str
    flaps: bool
    missed: tuple[str, ...]
    follow_ups: Mapping[str, str] = {}
    ticket: str
    ticket_url: str
    postmortem: str


class IncidentPage(Answer):
    """Incidents, newest first; `next_cursor` is null on the last page."""

    incidents: tuple[IncidentAnswer, ...]
    next_cursor: str | None


class TimelineEntry(Answer):
    """One journal entry of an incident; `body` is null once erased."""

    seq: int
    at: datetime
    kind: str
    actor: str
    body: Mapping[str, JsonValue] | None


class IncidentStory(IncidentAnswer):
    """One incident with what happened, oldest first; `next_cursor` is null on the last page."""

    timeline: tuple[TimelineEntry, ...]
    next_cursor: str | None = None


class ApprovalAnswer(Answer):
    """A request for approval and what was decided."""

    id: str
    run_id: str
    incident_id: str
    plan_hash: str
    ask: tuple[str, ...]
    state: Literal["pending", "approved", "rejected", "expired"]
    requested_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    actor: str


class DecisionAnswer(Answer):
    """The decision that now stands, with a sentence for people."""

    approval: ApprovalAnswer
    sentence: str


class ReleaseOrder(Order):
    """Let go of a target that an ended run keeps locked."""

    reason: str = Field(default="", max_length=2000)


class LockAnswer(Answer):
    """One target that a run keeps others from changing; `kept`: that run has ended."""

    target: str
    incident: str
    incident_id: str
    run_id: str
    playbook_id: str
    since: datetime
    kept: bool


class LocksAnswer(Answer):
    """Locks, oldest first."""

    locks: tuple[LockAnswer, ...]


class SilenceAnswer(Answer):
    """One silence; `origin` is where it was imported from, "" when it was set here."""

    id: str
    matchers: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    actor: str
    comment: str
    origin: str


class SilencesAnswer(Answer):
    """Those that haven't ended, by when they end."""

    silences: tuple[SilenceAnswer, ...]


class StopAnswer(Answer):
    """One stop in force: who ordered it, and why; `name` is "" for all."""

    scope: Literal["all", "rule", "playbook"]
    name: str
    actor: str
    reason: str
    at: datetime


class StopsAnswer(Answer):
    """All stops in force, oldest first."""

    stops: tuple[StopAnswer, ...]


class BalanceAnswer(Answer):
    """Every alert accounted for; `difference` is 0 when records = dispositions + waiting."""

    dispositions: Mapping[str, int]
    records: int
    waiting: int
    bodies_received: int
    bodies_appended: int
    bodies_dead_lettered: int
    difference: int


class PositionAnswer(Answer):
    """One partition: where it goes on (null: nowhere in this log), and what the log holds.

    `end` is the offset after the last record; `stopped` says why it can't go on, "" where it can.
    """

    partition: int
    position: int | None
    first: int
    end: int
    stopped: str


class PositionsAnswer(Answer):
    """Every partition of the stream."""

    positions: tuple[PositionAnswer, ...]


class RepositionAnswer(Answer):
    """A partition that goes on at `position`; `passed_over` records are never processed."""

    partition: int
    position: int
    passed_over: int


class AuditAnswer(Answer):
    """What checking every chain found; `faults` is empty when all are sound.

    `verified_checkpoint` is the number of the last one that verified, 0 when none did, and
    `uncovered` how many entries came after it. `notes` are no faults, but worth knowing.
    """

    chains: int
    entries: int
    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()
    checkpoints: int = 0
    verified_checkpoint: int = 0
    verified_at: str = ""
    uncovered: int = 0


class DeadLetterAnswer(Answer):
    """A kept body or record; `size` in bytes, `replayed_at` null while it waits for a replay."""

    id: str
    source: str
    reason: str
    field: str
    size: int
    count: int
    first_at: datetime
    last_at: datetime
    replayed_at: datetime | None


class DeadLetterPage(Answer):
    """Dead letters, last seen first; `next_cursor` is null on the last page."""

    dead_letters: tuple[DeadLetterAnswer, ...]
    next_cursor: str | None


class DeadLetterContent(DeadLetterAnswer):
    r"""One with what it holds; bytes that are no UTF-8 as `\xff`, at most 64 KiB of it."""

    body: str
    left_out_bytes: int


class ReplayAnswer(Answer):
    """What a replay came to; `dead_letter` has the new reason where it failed again."""

    dead_letter: DeadLetterAnswer
    replayed: bool
    alerts: int
    sentence: str


class RejectedPart(Answer):
    """A part of a body that isn't an alert; `index` is null for the body as a whole."""

    index: int | None
    field: str
    problem: str
    dead_letter: str


class IntakeAnswer(Answer):
    """What became of a body of alerts."""

    accepted: int
    rejected: tuple[RejectedPart, ...] = ()


class Problem(Answer):
    """Every error's body (RFC 9457): `detail` says what is wrong and what to do next."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
