"""What the store keeps beside the journal, as values: tasks, runs, approvals, dead letters."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from engine.core.json_value import JsonObject

TaskKind = Literal[
    "run",
    "message",
    "postmortem",
    "ticket",
    "tick",
    "clock",
    "checkpoint",
    "publish",
    "housekeeping",
]


@dataclass(frozen=True, slots=True)
class Task:
    """Durable pending work. `kind` and `key` are unique together; `priority` is 1 (first) to 4.

    `token` is the fencing token of the current lease, 0 while none was ever given; `failures`
    counts the executions that ended in an error since the last success. `generation` tells what
    was put or woken after the claim; the store alone reads it.
    """

    kind: TaskKind
    key: str
    not_before: datetime
    priority: int
    payload: JsonObject
    token: int = 0
    failures: int = 0
    generation: int = 0

    @property
    def id(self) -> str:
        """`kind/key`."""
        return f"{self.kind}/{self.key}"


@dataclass(frozen=True, slots=True)
class DueWork:
    """How many tasks are due that nobody has claimed, since when the first of them.

    `last_lease` rises with each claim, whoever made it.
    """

    tasks: int
    since: datetime | None
    last_lease: int


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """A request for approval and its answer; `state` is changed once, by compare-and-set."""

    id: str
    run_id: str
    incident_id: str
    plan_hash: str
    ask: tuple[str, ...]
    state: Literal["pending", "approved", "rejected", "expired"]
    requested_at: datetime
    expires_at: datetime
    decided_at: datetime | None = None
    actor: str = ""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as a row: what finds it and whether it is under way. Its story is in the journal.

    `phase` is active, cancelling once a person ended its plan, or ended.
    """

    id: str
    incident_id: str
    trigger: str
    playbook_id: str
    playbook_hash: str
    phase: str
    outcome: str
    created_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A body or record that couldn't be understood; one per hash, with a count.

    `is_part`: the body is one alert of a larger one, and `field` begins with its place there.
    `record_key` is a stream record's key. `left_out` counts bytes of the body that aren't here:
    where many are listed, each is only its beginning, and one that found no room has no body at
    all. `replayed_at` is None while nobody replayed it since it was last seen.
    """

    id: str
    source: str
    reason: str
    field: str
    body: bytes
    first_at: datetime
    last_at: datetime
    count: int = 1
    is_part: bool = False
    record_key: str = ""
    replayed_at: datetime | None = None
    left_out: int = 0

    @property
    def is_record(self) -> bool:
        """Whether it comes from the stream; else from the source of this name."""
        return "/" in self.source


@dataclass(frozen=True, slots=True)
class DeadLetterUsage:
    """What the dead letters take: how many there are, bytes of their bodies, how many lack one."""

    letters: int
    size: int
    bodiless: int

    @property
    def with_body(self) -> int:
        """How many have theirs."""
        return self.letters - self.bodiless


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Which incidents; empty texts mean any. `before_number` pages from the newest down."""

    status: str = ""
    severity: str = ""
    service: str = ""
    before_number: int | None = None
    limit: int = 50
