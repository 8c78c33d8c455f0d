"""One transaction over a SQLAlchemy Connection, the same on SQLite and PostgreSQL."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection
from typing_extensions import override

from engine.core.alert import Firing, Occurrence
from engine.core.guards import Guard, Reservation
from engine.core.incident import Incident, chain_of
from engine.core.journal import Entry, NewEntry
from engine.core.stops import Stop, StopScope
from engine.ports.ahead import AheadRows
from engine.ports.conditions import ConditionRows
from engine.ports.known_secrets import KNOWN
from engine.ports.rows import (
    ApprovalRow,
    DueWork,
    IncidentFilter,
    RunRow,
    Task,
    TaskKind,
)
from engine.ports.silences import SilenceRows
from engine.ports.store import Tx
from engine.ports.switches import SwitchRows
from engine.store import occurrence_rows, reservation_rows, run_rows, stop_rows
from engine.store.ahead_rows import SqlAheadRows
from engine.store.condition_rows import SqlConditionRows
from engine.store.dead_letter_tx import DeadLetterTx
from engine.store.incident_rows import IncidentRows
from engine.store.journal_rows import JournalRows
from engine.store.occurrence_rows import OccurrenceRows
from engine.store.position_rows import PositionRows
from engine.store.silence_rows import SqlSilenceRows
from engine.store.statements import next_number
from engine.store.switch_rows import SqlSwitchRows
from engine.store.task_rows import TaskRows


class SqlTx(DeadLetterTx, Tx):
    """Gathers what it can and writes it together; `flush` comes before the commit."""

    def __init__(
        self,
        connection: Connection,
        clock: Callable[[], datetime],
        *,
        reading: bool = False,
        publishes: bool = False,
    ) -> None:
        """`clock` is asked at most once; `reading` takes no locks."""
        self._publishes = publishes
        self._connection = connection
        self._reading = reading
        self._clock = clock
        self._now: datetime | None = None
        self._journal = JournalRows(connection)
        self._positions = PositionRows(connection)
        self._ahead = SqlAheadRows(connection)
        self._incidents = IncidentRows(connection, lock=not reading)
        self._tasks = TaskRows(connection, self._at)
        self._occurrences = OccurrenceRows(connection)
        self._switches = SqlSwitchRows(connection)
        self._silences = SqlSilenceRows(connection, lambda: self.now)
        self._conditions = SqlConditionRows(connection, lambda: self.now, reading=reading)

    @property
    def woke(self) -> bool:
        """Whether a task may have become due, or will earlier than somebody waits for."""
        return self._tasks.woke

    def lock_chains(self, chains: Sequence[str]) -> None:
        """Keep other writers from appending to these until the commit."""
        self._journal.lock(chains)

    def flush(self) -> None:
        """Write what was gathered, locking rows in the one order of all writers."""
        self._incidents.flush()
        self._journal.flush()
        self._tasks.flush()
        self._positions.flush()

    @property
    @override
    def now(self) -> datetime:
        return self._at()

    def _at(self, read: datetime | None = None) -> datetime:
        """`now`; `read` is the clock's time, where a statement brought it along."""
        self._now = self._now or read or self._clock()
        return self._now

    @property
    @override
    def publishes(self) -> bool:
        return self._publishes

    # Journal.
    @override
    def append(self, chain: str, entries: Sequence[NewEntry]) -> Sequence[Entry]:
        return self._journal.append(chain, entries)

    @override
    def entries(
        self,
        chain: str,
        *,
        after_seq: int = 0,
        without: Sequence[str] = (),
        limit: int | None = None,
    ) -> Sequence[Entry]:
        return self._journal.entries(chain, after_seq, without, limit)

    @override
    def page(
        self, chain: str, *, after_seq: int = 0, kind: str = "", limit: int
    ) -> Sequence[Entry]:
        return self._journal.page(chain, after_seq, kind, limit)

    @override
    def last_entry(self, chain: str, kind: str) -> Entry | None:
        return self._journal.last_entry(chain, kind)

    @override
    def head(self, chain: str) -> tuple[int, str]:
        return self._journal.head(chain)

    @override
    def heads(self, *, after: str = "", limit: int | None = None) -> Mapping[str, tuple[int, str]]:
        return self._journal.heads(after, limit)

    @override
    def grown_chains(self, limit: int) -> Sequence[tuple[str, int, str]]:
        return self._journal.grown_chains(limit)

    @override
    def mark_checkpointed(self, reached: Mapping[str, int]) -> None:
        self._journal.mark_checkpointed(reached)

    @override
    def put_text(self, sha256: str, text: bytes) -> None:
        self._journal.put_text(sha256, text)

    @override
    def text(self, sha256: str) -> bytes | None:
        return self._journal.text(sha256)

    # Stream positions and accounting.
    @override
    def position(self, stream: str, partition: int) -> int:
        return self._positions.position(stream, partition)

    @override
    def positions(self, log: str) -> Mapping[int, Mapping[str, int]]:
        return self._positions.of_stream(log)

    @override
    def advance(self, stream: str, partition: int, expected: int, to: int) -> None:
        self._positions.advance(stream, partition, expected, to)

    @property
    @override
    def ahead(self) -> AheadRows:
        return self._ahead

    @override
    def count(self, counts: Mapping[str, int]) -> None:
        self._positions.count(counts)

    @override
    def counters(self) -> Mapping[str, int]:
        return self._positions.counters()

    # Occurrences.
    @override
    def occurrences(self, fingerprints: Sequence[str]) -> Mapping[str, Occurrence]:
        return self._occurrences.latest(fingerprints)

    @override
    def known(
        self, fingerprints: Sequence[str], whole: Set[str]
    ) -> tuple[Mapping[str, Occurrence], Mapping[str, Firing]]:
        return self._occurrences.known(fingerprints, whole)

    @override
    def put_occurrences(self, occurrences: Sequence[Occurrence]) -> None:
        self._occurrences.put(occurrences)

    @override
    def put_repeats(self, repeated: Sequence[Firing]) -> None:
        self._occurrences.put_repeats(repeated)

    @override
    def open_occurrences(self, incident: str, limit: int) -> Sequence[Occurrence]:
        return occurrence_rows.firing_occurrences(self._connection, incident, limit)

    @override
    def troubled(self, names: Sequence[str]) -> Sequence[tuple[str, int]]:
        return occurrence_rows.troubled(self._connection, names)

    @override
    def firing_targets(self, limit: int) -> Sequence[tuple[str, int]]:
        return occurrence_rows.firing_targets(self._connection, limit)

    @override
    def ended_occurrences(
        self, before: datetime, *, after: str = "", limit: int
    ) -> tuple[Sequence[str], str]:
        return occurrence_rows.ended_occurrences(self._connection, before, after, limit)

    @override
    def remove_occurrences(self, fingerprints: Sequence[str], before: datetime) -> int:
        return occurrence_rows.remove_occurrences(self._connection, fingerprints, before)

    @property
    @override
    def conditions(self) -> ConditionRows:
        return self._conditions

    @property
    @override
    def silences(self) -> SilenceRows:
        return self._silences

    @property
    @override
    def switches(self) -> SwitchRows:
        return self._switches

    # Incidents.
    @override
    def next_incident_number(self) -> int:
        return next_number(self._connection, "incident_number")

    @override
    def live_incident(self, correlation_key: str) -> Incident | None:
        return self._incidents.live(correlation_key)

    @override
    def previous_incident(self, correlation_key: str) -> str:
        return self._incidents.previous(correlation_key)

    @override
    def incident(self, incident: str) -> Incident | None:
        if not self._reading:
            # First: what another writer appends meanwhile must be a conflict, or it is undone.
            self._journal.head(chain_of(incident))
        return self._incidents.by_id(incident)

    @override
    def put_incident(self, incident: Incident) -> None:
        self._incidents.put(incident)

    @override
    def incidents(self, which: IncidentFilter) -> Sequence[Incident]:
        return self._incidents.matching(which)

    @override
    def find_incidents(self, prefix: str) -> Sequence[Incident]:
        return self._incidents.find(prefix)

    # Runs and approvals.
    @override
    def create_run(self, run: RunRow) -> bool:
        return run_rows.create_run(self._connection, run)

    @override
    def put_run(self, run: RunRow) -> None:
        run_rows.put_run(self._connection, run)

    @override
    def run(self, run: str) -> RunRow | None:
        return run_rows.find_run(self._connection, run)

    @override
    def active_runs(self) -> Sequence[RunRow]:
        return run_rows.active_runs(self._connection)

    @override
    def find_runs(self, prefix: str) -> Sequence[RunRow]:
        return run_rows.find_runs(self._connection, prefix)

    @override
    def create_approval(self, approval: ApprovalRow) -> None:
        run_rows.create_approval(self._connection, approval)

    @override
    def decide_approval(
        self, approval: str, state: Literal["approved", "rejected", "expired"], actor: str
    ) -> ApprovalRow | None:
        return run_rows.decide_approval(self._connection, approval, state, actor, self.now)

    @override
    def approval(self, approval: str) -> ApprovalRow | None:
        return run_rows.find_approval(self._connection, approval)

    @override
    def find_approvals(self, prefix: str) -> Sequence[ApprovalRow]:
        return run_rows.find_approvals(self._connection, prefix)

    # Stops.
    @override
    def stops(self) -> Sequence[Stop]:
        return stop_rows.all_stops(self._connection)

    @override
    def hold_stops(self) -> Sequence[Stop]:
        return stop_rows.hold_stops(self._connection)

    @override
    def order_stop(self, stop: Stop) -> bool:
        return stop_rows.order_stop(self._connection, replace(stop, reason=KNOWN.mask(stop.reason)))

    @override
    def lift_stop(self, scope: StopScope, name: str) -> bool:
        return stop_rows.lift_stop(self._connection, scope, name)

    # Reservations.
    @override
    def hold_guards(self, keys: Sequence[str]) -> None:
        reservation_rows.hold_guards(self._connection, keys)

    @override
    def counted(self, guard: Guard) -> Sequence[Reservation]:
        return reservation_rows.counted(self._connection, guard, self.now)

    @override
    def held(self) -> Sequence[Reservation]:
        return reservation_rows.held(self._connection)

    @override
    def reserve(self, taken: Sequence[Reservation]) -> None:
        reservation_rows.reserve(self._connection, taken)

    @override
    def release(self, run: str, outcome: str = "") -> None:
        reservation_rows.release(self._connection, run, outcome, self.now)

    @override
    def excuse(self, runs: Sequence[str]) -> None:
        reservation_rows.excuse(self._connection, runs)

    @override
    def forget_reservations(self, run: str) -> None:
        reservation_rows.forget(self._connection, run)

    @override
    def forget_reservations_before(self, before: datetime) -> int:
        return reservation_rows.forget_before(self._connection, before)

    # Tasks.
    @override
    def put_task(self, task: Task) -> None:
        self._tasks.put(task)

    @override
    def wake_task(self, kind: TaskKind, key: str) -> None:
        self._tasks.wake(f"{kind}/{key}")

    @override
    def claim_task(self, worker: str, lease_s: float, kinds: Sequence[TaskKind]) -> Task | None:
        return self._tasks.claim(worker, lease_s, kinds)

    @override
    def hold_task(self, task: Task, lease_s: float | None = None) -> None:
        self._journal.found(*self._tasks.hold(task, lease_s))

    @override
    def finish_task(self, task: Task) -> None:
        self._tasks.finish(task)

    @override
    def release_task(self, task: Task, not_before: datetime, *, failed: bool = False) -> None:
        self._tasks.release(task, not_before, failed=failed)

    @override
    def cancel_task(self, kind: TaskKind, key: str) -> None:
        self._tasks.cancel(f"{kind}/{key}")

    @override
    def next_due(
        self, kinds: Sequence[TaskKind], *, before: datetime | None = None
    ) -> datetime | None:
        return self._tasks.next_due(kinds, before)

    @override
    def due_work(self) -> DueWork:
        return self._tasks.due_work()

    @override
    def free_leases(self) -> None:
        self._tasks.free_leases()

    @override
    def waiting_tasks(self) -> Mapping[str, int]:
        return self._tasks.waiting_tasks()
