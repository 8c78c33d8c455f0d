"""The database: journal, projections, tasks and stream positions, in one transaction."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol, TypeVar

from engine.core.incident import Incident
from engine.core.journal import Entry, NewEntry
from engine.core.stops import Stop, StopScope
from engine.ports.ahead import AheadRows
from engine.ports.conditions import ConditionRows
from engine.ports.occurrences import OccurrenceRows
from engine.ports.reservations import ReservationRows
from engine.ports.rows import (
    ApprovalRow,
    DeadLetter,
    DeadLetterUsage,
    DueWork,
    IncidentFilter,
    RunRow,
    Task,
    TaskKind,
)
from engine.ports.silences import SilenceRows
from engine.ports.switches import SwitchRows

T = TypeVar("T")


class Tx(OccurrenceRows, ReservationRows, Protocol):
    """One transaction, synchronous; everything in it commits together or not at all.

    The work may be executed again after a rollback (a serialisation conflict), so it must not
    have effects besides these methods.
    """

    @property
    def now(self) -> datetime:
        """The store's clock, read once per transaction; leases and expiries use it."""
        ...

    @property
    def publishes(self) -> bool:
        """Whether somebody follows incidents elsewhere, so that each change brings a task."""
        ...

    # Journal.
    def append(self, chain: str, entries: Sequence[NewEntry]) -> Sequence[Entry]:
        """Chain the entries behind the head of `chain` (locked) and return them sealed.

        What is sealed holds no known secret: read an event back from its entry before you do
        anything else with it.
        """
        ...

    def entries(
        self,
        chain: str,
        *,
        after_seq: int = 0,
        without: Sequence[str] = (),
        limit: int | None = None,
    ) -> Sequence[Entry]:
        """The entries of a chain with seq > after_seq, in order; `without` these kinds."""
        ...

    def page(
        self, chain: str, *, after_seq: int = 0, kind: str = "", limit: int
    ) -> Sequence[Entry]:
        """The next entries, of one kind if asked: no more than memory is spared for, at least one.

        Empty when there are no more.
        """
        ...

    def last_entry(self, chain: str, kind: str) -> Entry | None:
        """The newest entry of this kind in a chain."""
        ...

    def head(self, chain: str) -> tuple[int, str]:
        """The sequence and the hash of a chain's last entry; (0, GENESIS) before the first.

        An append in this transaction follows this very entry, or the transaction is done again.
        """
        ...

    def heads(self, *, after: str = "", limit: int | None = None) -> Mapping[str, tuple[int, str]]:
        """Every chain after this name, in order, with the sequence and hash of its last entry."""
        ...

    def grown_chains(self, limit: int) -> Sequence[tuple[str, int, str]]:
        """The heads (chain, seq, hash) that no checkpoint names yet, by chain."""
        ...

    def mark_checkpointed(self, reached: Mapping[str, int]) -> None:
        """A checkpoint names these chains up to these entries."""
        ...

    def put_text(self, sha256: str, text: bytes) -> None:
        """Keep a text of the catalog by its hash; keeping it again changes nothing."""
        ...

    def text(self, sha256: str) -> bytes | None:
        """A kept text."""
        ...

    # Stream positions and accounting.
    def position(self, stream: str, partition: int) -> int:
        """The next offset to process; 0 when nothing was."""
        ...

    def positions(self, log: str) -> Mapping[int, Mapping[str, int]]:
        """By partition: the next offset in each log of this one's stream, by the log's name."""
        ...

    def advance(self, stream: str, partition: int, expected: int, to: int) -> None:
        """Compare-and-set the position; raises FencedError when it isn't `expected`.

        Until the commit nobody else can move it, also where it stays as it is.
        """
        ...

    @property
    def ahead(self) -> AheadRows:
        """What was decided on ahead of its turn."""
        ...

    def count(self, counts: Mapping[str, int]) -> None:
        """Add to the named durable counters (dispositions, bodies, records)."""
        ...

    def counters(self) -> Mapping[str, int]:
        """All durable counters."""
        ...

    # Occurrences: the rest is in OccurrenceRows.
    @property
    def conditions(self) -> ConditionRows:
        """What rules count, and which occurrences wait."""
        ...

    @property
    def silences(self) -> SilenceRows:
        """The silences that people set."""
        ...

    @property
    def switches(self) -> SwitchRows:
        """What is on until a person turns it off."""
        ...

    # Incidents.
    def next_incident_number(self) -> int:
        """1, 2, 3, …"""
        ...

    def live_incident(self, correlation_key: str) -> Incident | None:
        """The incident of this key that isn't closed, locked for this transaction."""
        ...

    def previous_incident(self, correlation_key: str) -> str:
        """The id of this key's incident that closed last, "" when there was none."""
        ...

    def incident(self, incident: str) -> Incident | None:
        """By id."""
        ...

    def put_incident(self, incident: Incident) -> None:
        """Insert or replace; a second one that isn't closed for a key raises ConflictError."""
        ...

    def incidents(self, which: IncidentFilter) -> Sequence[Incident]:
        """Newest number first."""
        ...

    def find_incidents(self, prefix: str) -> Sequence[Incident]:
        """By a prefix of the id, or by the name (INC-12, inc-12, 12); at most 2."""
        ...

    # Runs and approvals.
    def create_run(self, run: RunRow) -> bool:
        """Insert; False when its trigger or id exists already."""
        ...

    def put_run(self, run: RunRow) -> None:
        """Replace by id."""
        ...

    def run(self, run: str) -> RunRow | None:
        """By id."""
        ...

    def active_runs(self) -> Sequence[RunRow]:
        """Those that haven't ended, oldest first."""
        ...

    def find_runs(self, prefix: str) -> Sequence[RunRow]:
        """Those whose id or incident id begins with `prefix`; at most 2, active ones first."""
        ...

    def create_approval(self, approval: ApprovalRow) -> None:
        """Insert; does nothing when it exists."""
        ...

    def decide_approval(
        self, approval: str, state: Literal["approved", "rejected", "expired"], actor: str
    ) -> ApprovalRow | None:
        """Compare-and-set from pending; None when it wasn't pending any more."""
        ...

    def approval(self, approval: str) -> ApprovalRow | None:
        """By id."""
        ...

    def find_approvals(self, prefix: str) -> Sequence[ApprovalRow]:
        """Those whose id, run id or incident id begins with `prefix`; at most 2.

        First those that can still be decided, then the latest.
        """
        ...

    # Stops.
    def stops(self) -> Sequence[Stop]:
        """All that are in force, oldest first."""
        ...

    def hold_stops(self) -> Sequence[Stop]:
        """The same, and until the commit none can be ordered or lifted.

        It comes before other locks are taken: position, stops, guards, chain heads.
        """
        ...

    def order_stop(self, stop: Stop) -> bool:
        """Put it in force, once all who hold the stops are done; False when it is already."""
        ...

    def lift_stop(self, scope: StopScope, name: str) -> bool:
        """End it; False when it isn't in force."""
        ...

    # Tasks.
    def put_task(self, task: Task) -> None:
        """Insert, or move an existing one (payload and `not_before` replaced, lease kept)."""
        ...

    def wake_task(self, kind: TaskKind, key: str) -> None:
        """Make it due now, whatever it waited for."""
        ...

    def claim_task(self, worker: str, lease_s: float, kinds: Sequence[TaskKind]) -> Task | None:
        """The most urgent due task without a live lease, leased with a new token, or None."""
        ...

    def hold_task(self, task: Task, lease_s: float | None = None) -> None:
        """Lock the lease; raise FencedError when the token isn't current; extend if asked."""
        ...

    def finish_task(self, task: Task) -> None:
        """Remove it, unless it was put or woken since the claim: then it becomes free again."""
        ...

    def release_task(self, task: Task, not_before: datetime, *, failed: bool = False) -> None:
        """Give the lease back until `not_before`, or sooner when it was woken since the claim."""
        ...

    def cancel_task(self, kind: TaskKind, key: str) -> None:
        """Remove it if it is there."""
        ...

    def next_due(
        self, kinds: Sequence[TaskKind], *, before: datetime | None = None
    ) -> datetime | None:
        """When the next task of these kinds is due, or its lease runs out; None: not `before`.

        Others may be there: a newer version's, which this one can't do.
        """
        ...

    def due_work(self) -> DueWork:
        """What is due and unclaimed, of all kinds."""
        ...

    def free_leases(self) -> None:
        """End every lease; only for who knows that no other worker lives."""
        ...

    def waiting_tasks(self) -> Mapping[str, int]:
        """How many tasks there are of each kind, those under way too."""
        ...

    # Dead letters.
    def put_dead_letter(self, letter: DeadLetter) -> bool:
        """Insert, or count one more of the same hash, which then waits for a replay again.

        Whether it is new. Asks nothing about room: see engine.ports.keeping.
        """
        ...

    def dead_letter_usage(self) -> DeadLetterUsage:
        """What all of them take, by counters that follow removals within a minute."""
        ...

    def dead_letter_drift(self) -> Mapping[str, int]:
        """What to `count` so that these counters are exact; looks at every letter."""
        ...

    def measure_dead_letters(self) -> None:
        """Fill in the sizes that a replica of an older release left out."""
        ...

    def old_dead_letters(
        self, seen_before: datetime, replayed_before: datetime, limit: int
    ) -> Sequence[tuple[str, int]]:
        """(id, bytes) of those last seen, or replayed, before these times."""
        ...

    def remove_dead_letters(
        self, ids: Sequence[str], seen_before: datetime, replayed_before: datetime
    ) -> int:
        """Those of them that are old still; how many went."""
        ...

    def dead_letters(
        self, limit: int, *, waiting: bool = False, after: str = ""
    ) -> Sequence[DeadLetter]:
        """Newest first, from behind the one with the id `after`; `waiting`: not yet replayed."""
        ...

    def find_dead_letters(self, prefix: str) -> Sequence[DeadLetter]:
        """Those whose id begins with `prefix`, whole; at most 2."""
        ...

    def mark_replayed(self, letter: str) -> bool:
        """Note that it was taken in now; False when that was noted already."""
        ...

    def restate_dead_letter(self, letter: str, reason: str, field: str) -> None:
        """Replace what is wrong with it."""
        ...


class Store(Protocol):
    """Transactions over the one database."""

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Execute in one transaction and commit durably; errors of `work` roll back and rise.

        Raises TransientError when the database can't be reached.
        """
        ...

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Execute against one consistent snapshot; nothing may be written."""
        ...

    async def wait_for_work(self, timeout_s: float) -> None:
        """Return when tasks may have become due, after `timeout_s` at the latest."""
        ...
