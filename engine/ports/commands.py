"""What a person can order and anybody can ask; HTTP, console, chat and CLI only call these."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from engine.core.alert import Alert
from engine.core.conditions import Hold
from engine.core.events import Decision, ModesRaised
from engine.core.guards import Lock
from engine.core.incident import Incident
from engine.core.journal import Entry
from engine.core.json_value import Json
from engine.core.positions import Destination, PartitionState
from engine.core.silences import Silence
from engine.core.stops import Stop, StopScope
from engine.core.switches import Switch
from engine.core.trust import Standing
from engine.ports.rows import ApprovalRow, DeadLetter, IncidentFilter
from engine.ports.source import Rejected

# Entries of a page of an incident's timeline; a page ends earlier where they are large.
TIMELINE_PAGE = 500


@dataclass(frozen=True, slots=True)
class Decided:
    """The decision that stands after an order, whoever gave it; `sentence` is for people."""

    approval: ApprovalRow
    sentence: str
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class WantedSilence:
    """A silence as it is ordered; None begins now. `origin` is where it was imported from."""

    matchers: tuple[str, ...]
    ends_at: datetime
    comment: str
    starts_at: datetime | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Balance:
    """Every alert accounted for: `difference` is 0 when records = dispositions + waiting."""

    dispositions: Mapping[str, int]
    records: int
    waiting: int
    bodies_received: int
    bodies_appended: int
    bodies_dead_lettered: int
    difference: int


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What `audit verify` found; `faults` is empty when every chain is sound.

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


class Intake(Protocol):
    """The gateway's way in; both return only after what they were given is durable."""

    async def accept(self, source: str, alerts: Sequence[Alert], truncated: int) -> None:
        """Append to the stream. Raises TransientError: answer 503."""
        ...

    async def dead_letter(self, source: str, rejected: Sequence[Rejected]) -> Sequence[str]:
        """Keep what couldn't be understood and return the ids. Raises TransientError."""
        ...


class Commands(Protocol):
    """Orders, checked and journaled. Raises DeniedError, NotFoundError, ConflictError."""

    async def decide(
        self, approval: str, decision: Decision, *, plan_hash: str, by: "By", reason: str = ""
    ) -> Decided:
        """Answer a request for approval; `plan_hash` must be the one that was shown."""
        ...

    async def run_playbook(
        self,
        playbook: str,
        parameters: Mapping[str, Json],
        *,
        by: "By",
        reason: str = "",
        dry_run: bool = False,
    ) -> Incident:
        """Start a run by hand (counts as approve) in an incident of its own.

        With `dry_run` it only looks and plans.
        """
        ...

    async def acknowledge(self, incident: str, *, by: "By", note: str = "") -> Incident:
        """Say: I see it."""
        ...

    async def judge(
        self, incident: str, verdict: Literal["right", "wrong"], *, by: "By", reason: str = ""
    ) -> None:
        """Say whether an incident's run was right; ConflictError where there was none."""
        ...

    async def answer(
        self, run: str, choice: str, *, by: "By", step: str = "", reason: str = ""
    ) -> None:
        """Answer a question of a run, named as in `cancel_run`; the first answer stands.

        Without `step` the only one that waits. PermanentError for what is no choice of it.
        """
        ...

    async def cancel_run(self, run: str, *, by: "By", reason: str = "") -> None:
        """End a run's plan, named by a prefix of its id or its incident's, or by INC-12."""
        ...

    async def roll_back(self, run: str, *, by: "By", reason: str = "") -> Incident:
        """Take an ended run back by a run of its own, named as in `cancel_run`.

        Raises ConflictError where nothing can be taken back.
        """
        ...

    async def keep(self, run: str, *, by: "By", reason: str) -> Incident:
        """Call off the revert of a run, named as in `cancel_run`: its change stays, and why.

        Raises ConflictError where nothing would take it back, or something does so already.
        """
        ...

    async def stop(
        self, scope: StopScope, name: str = "", *, by: "By", reason: str
    ) -> Sequence[Stop]:
        """Let nothing that this covers change anything more; all that is stopped then.

        `name` is the rule's or playbook's id, "" for all. What is stopped already stays so, with
        its first reason.
        """
        ...

    async def resume(
        self, scope: StopScope, name: str = "", *, by: "By", reason: str = ""
    ) -> Sequence[Stop]:
        """Lift a stop; all that is stopped still. Runs that it ended stay ended."""
        ...

    async def silence(self, wanted: WantedSilence, *, by: "By") -> Silence:
        """Silence what its matchers hold for. Raises PermanentError for what can't be one.

        One of an `origin` that is known is replaced by what it is there now.
        """
        ...

    async def end_silence(self, silence: str, *, by: "By", reason: str = "") -> Silence:
        """End one, by a prefix of its id; what it held back is decided now.

        Raises NotFoundError, ConflictError when it has ended.
        """
        ...

    async def release_lock(self, target: str, *, by: "By", reason: str = "") -> Sequence[Lock]:
        """Let go of what the ended run that keeps this target locked holds; what that was.

        Raises NotFoundError when it isn't locked, ConflictError while its run is under way.
        """
        ...

    async def try_again(
        self, playbook: str, target: str = "", *, by: "By", reason: str = ""
    ) -> Sequence[str]:
        """Excuse the last runs of a playbook that failed in a row, so that one more may try.

        The incidents of these. Raises NotFoundError when its last run did not fail.
        """
        ...


@dataclass(frozen=True, slots=True)
class By:
    """Who ordered, through which surface, with which roles."""

    actor: str
    via: str
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to: the letter after it, how many alerts it was, a sentence for people."""

    letter: DeadLetter
    alerts: int
    sentence: str
    accepted: bool = False


class Replays(Protocol):
    """Takes in again what was kept as a dead letter."""

    async def replay_dead_letter(self, prefix: str, *, by: By) -> Replayed:
        """Send it once more through its source's parser, or back into the stream.

        A letter that still can't be understood stays, with the new reason. Raises DeniedError,
        NotFoundError, ConflictError when it was replayed already, and TransientError when the
        stream can't take it now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of an incident's chain, and whether the chain goes on behind it."""

    entries: Sequence[Entry]
    more: bool


@dataclass(frozen=True, slots=True)
class Repositioned:
    """A partition that goes on at `position`; `passed_over` records are never processed."""

    partition: int
    position: int
    passed_over: int


class Repositions(Protocol):
    """Sends partitions of the stream on that can't go on by themselves."""

    async def set_position(
        self, partition: int, to: Destination, *, by: By, reason: str
    ) -> Repositioned:
        """Let a stopped partition go on at `to`, in the log that is there now.

        Raises DeniedError, NotFoundError, ConflictError when it isn't stopped or has no such
        offset, and TransientError when the stream can't be asked now.
        """
        ...


class Queries(Protocol):
    """Reads. Ids may be any unique prefix or INC-12; raises NotFoundError."""

    async def incidents(self, which: IncidentFilter) -> Sequence[Incident]:
        """Newest first."""
        ...

    async def incident(self, prefix: str) -> Incident:
        """One incident."""
        ...

    async def timeline(
        self, incident: str, *, after_seq: int = 0, limit: int = TIMELINE_PAGE
    ) -> Timeline:
        """Its chain behind `after_seq`, in order, a page of it."""
        ...

    async def approval(self, prefix: str) -> ApprovalRow:
        """One request for approval, found by its id, its run's or its incident's."""
        ...

    async def stops(self) -> Sequence[Stop]:
        """All that are in force, oldest first."""
        ...

    async def trust(self) -> Sequence[Standing]:
        """How far each rule has earned trust, by environment."""
        ...

    async def waiting(self, limit: int) -> Sequence[tuple[Alert, Hold]]:
        """The alerts that don't act by a rule yet, the latest first, and why."""
        ...

    async def silences(self) -> Sequence[Silence]:
        """Those that people set and that haven't ended, by when they end."""
        ...

    async def locks(self) -> Sequence[Lock]:
        """Every target that a run keeps others from changing, oldest first."""
        ...

    async def raises(self) -> tuple[ModesRaised, str] | None:
        """What waits for a second person, and who activated it; None where nothing does."""
        ...

    async def brake(self) -> Switch | None:
        """The storm brake, None while it is off."""
        ...

    async def balance(self) -> Balance:
        """Every alert accounted for."""
        ...

    async def positions(self) -> Sequence[PartitionState]:
        """Where each partition of the stream goes on, and why not."""
        ...

    async def verify_audit(self) -> AuditReport:
        """Check every chain and every checkpoint."""
        ...

    def export_audit(self) -> AsyncIterator[bytes]:
        """The whole journal as the lines of engine.core.audit_export."""
        ...

    async def dead_letters(
        self, limit: int, *, waiting: bool = False, after: str = ""
    ) -> Sequence[DeadLetter]:
        """Newest first, the beginning of each; `after` is the id of the last one before them."""
        ...

    async def dead_letter(self, prefix: str) -> DeadLetter:
        """One, whole."""
        ...
