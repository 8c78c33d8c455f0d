"""The real store's transactions on SQLite in memory, executed inline; replicas share one."""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool
from typing_extensions import override

from engine.core import events
from engine.core.journal import Entry, NewEntry
from engine.errors import FencedError, OutcomeUnknownError, TransientError
from engine.ports.rows import TaskKind
from engine.ports.store import Store, Tx
from engine.store.faults import classified
from engine.store.migration import migrate
from engine.store.tx import SqlTx
from tests.simulation.scheduler import Process, Scheduler

T = TypeVar("T")

SIMULATED_KINDS: tuple[TaskKind, ...] = (
    "run",
    "message",
    "postmortem",
    "ticket",
    "tick",
    "checkpoint",
)

CRASH_BEFORE = "crash before commit"
CRASH_AFTER = "crash after commit"
CRASH = "crash at an await"
TRANSIENT = "store away"
FENCED = "writer fenced"
LOST_COMMIT = "commit without an answer"

# How often a commit with journal entries, or without any, goes wrong.
STORY_FAULT_RATE = 0.1
IDLE_FAULT_RATE = 0.005
# The same of what histories seldom hold, so that five hundred cut off all of it.
_SELDOM: Mapping[float, Sequence[type[events.Event]]] = {
    0.7: (
        events.AlertsExpected,
        events.BrakeLifted,
        events.BreakerTried,
        events.DeadlinePassed,
        events.IncidentClosed,
        events.IncidentReopened,
        events.LockReleased,
        events.ModesAccepted,
        events.RunParked,
        events.StepSkipped,
        events.StormBraked,
    ),
    0.2: (
        events.AttemptProbed,
        events.OccurrenceEnded,
        events.PostmortemWritten,
        events.QuestionAnswered,
        events.QuestionAsked,
        events.RunHeldBack,
        events.StopLifted,
        events.StopOrdered,
        events.TicketOpened,
        events.VerificationEnded,
        events.VerificationStarted,
    ),
}
SELDOM_FAULT_RATES = {event.KIND: rate for rate, kinds in _SELDOM.items() for event in kinds}


class WatchedTx(SqlTx):
    """Remembers what was appended, for the checks after the commit."""

    appended: tuple[Entry, ...] = ()

    @override
    def append(self, chain: str, entries: Sequence[NewEntry]) -> Sequence[Entry]:
        sealed = super().append(chain, entries)
        self.appended = (*self.appended, *sealed)
        return sealed


@dataclass
class Database:
    """One database in memory; `committed` is told what each transaction appended."""

    scheduler: Scheduler
    connection: Connection
    raw: sqlite3.Connection
    committed: Callable[[Sequence[Entry]], None] = lambda _: None
    bells: list[asyncio.Future[str]] = field(default_factory=list)
    crashed: list[tuple[str, str]] = field(default_factory=list)

    def execute(
        self, work: Callable[[Tx], T], choose: Callable[[Sequence[Entry]], str] = lambda _: ""
    ) -> tuple[T, Sequence[Entry], str]:
        """One transaction; `choose` says what happens to it: a crash before loses it."""
        tx = WatchedTx(self.connection, lambda: self.scheduler.at)
        changed = self.raw.total_changes
        self.raw.execute("BEGIN IMMEDIATE")
        try:
            with classified():
                result = work(tx)
                tx.flush()
        except BaseException as error:
            self.raw.execute("ROLLBACK")
            if isinstance(error, FencedError):
                self.scheduler.fault(FENCED, str(error))
            raise
        fault = choose(tx.appended)
        if fault == CRASH_BEFORE:
            self.raw.execute("ROLLBACK")
            return result, tx.appended, fault
        self.raw.execute("COMMIT")
        if tx.woke:
            ring(self.bells)
        # Where no row is another one, all that held before still does.
        if self.raw.total_changes != changed:
            self.committed(tx.appended)
        return result, tx.appended, fault

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What is there now, past all of the product's code."""
        return self.raw.execute(statement).fetchall()

    def close(self) -> None:
        """Forget it."""
        self.connection.close()


@dataclass
class InlineStore(Store):
    """The store as one process reaches it: every call passes a gate."""

    database: Database
    process: Process

    @override
    async def write(self, work: Callable[[Tx], T]) -> T:
        fault = await self._gate("commit", TRANSIENT)
        if fault == TRANSIENT:
            raise TransientError("the store can't be used now: simulated")
        result, entries, fault = self.database.execute(work, self._fate)
        kinds = ", ".join(entry.kind for entry in entries)
        if kinds and fault != CRASH_BEFORE:
            self.database.scheduler.tell(f"{self.process.name} commits {kinds}")
        if fault in (CRASH_BEFORE, CRASH_AFTER):
            self.database.crashed.extend((entry.kind, fault) for entry in entries)
            self.process.crash()
            raise asyncio.CancelledError
        if fault == LOST_COMMIT:
            raise OutcomeUnknownError("the commit got no answer: simulated")
        await self._gate("answer of the commit")
        return result

    @override
    async def read(self, work: Callable[[Tx], T]) -> T:
        await_faults = (CRASH, TRANSIENT) if self.process.mortal else (TRANSIENT,)
        fault = await self._gate("read", *await_faults)
        if fault == CRASH:
            self.process.crash()
            raise asyncio.CancelledError
        if fault == TRANSIENT:
            raise TransientError("the store can't be used now: simulated")
        with classified():
            return work(
                SqlTx(self.database.connection, lambda: self.database.scheduler.at, reading=True)
            )

    @override
    async def wait_for_work(self, timeout_s: float) -> None:
        """Until a commit rings or something is due: the safety net of polling isn't needed."""
        tx = SqlTx(self.database.connection, lambda: self.database.scheduler.at, reading=True)
        due = tx.next_due(SIMULATED_KINDS)
        at_least = self.database.scheduler.at + timedelta(milliseconds=10)
        await self.database.scheduler.sleep_until(
            self.process, due and max(due, at_least), self.database.bells
        )

    def _fate(self, entries: Sequence[Entry]) -> str:
        """Commits with news fail more often than heartbeats do."""
        scheduler = self.database.scheduler
        rates = [SELDOM_FAULT_RATES.get(entry.kind, STORY_FAULT_RATE) for entry in entries]
        rate = max(rates, default=IDLE_FAULT_RATE)
        if not scheduler.chance(rate):
            return ""
        kinds = (CRASH_BEFORE, CRASH_AFTER, LOST_COMMIT) if self.process.mortal else (LOST_COMMIT,)
        fault = scheduler.random.choice(kinds)
        scheduler.fault(fault, f"{self.process.name} with {len(entries)} entries")
        return fault

    async def _gate(self, what: str, *faults: str) -> str:
        return await self.database.scheduler.gate(self.process, what, *faults)


def ring(bells: Sequence[asyncio.Future[str]]) -> None:
    """End these waits."""
    for bell in bells:
        if not bell.done():
            bell.set_result("")


@cache
def _empty() -> tuple[sqlite3.Connection, Connection]:
    """With the tables; the second is only kept, because its end would close the first."""
    raw = sqlite3.connect(":memory:", isolation_level=None)
    connection = _sqlalchemy(raw)
    raw.execute("BEGIN")
    migrate(connection)
    raw.execute("COMMIT")
    return raw, connection


def a_database(scheduler: Scheduler) -> Database:
    """With this version's tables, and nothing in them."""
    raw = sqlite3.connect(":memory:", isolation_level=None)
    _empty()[0].backup(raw)
    return Database(scheduler, _sqlalchemy(raw), raw)


def _sqlalchemy(raw: sqlite3.Connection) -> Connection:
    _RAW.append(raw)
    return _engine().connect()


# What the engine connects to next.
_RAW: list[sqlite3.Connection] = []


@cache
def _engine() -> Engine:
    """One for all databases, because it remembers each statement's text."""
    return create_engine(
        "sqlite://", creator=_RAW.pop, poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
