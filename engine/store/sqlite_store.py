"""The store in one SQLite file: one writer thread commits in groups, readers read beside it."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from threading import local
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool
from typing_extensions import override

from engine.errors import ConfigError, TransientError
from engine.ports.clock import Clock
from engine.ports.store import Store, Tx
from engine.store.disk import is_full
from engine.store.faults import classified
from engine.store.group_writer import GroupWriter
from engine.store.migration import is_current, migrate
from engine.store.sqlite_files import open_reader, open_writer
from engine.store.tx import SqlTx
from engine.store.waiting import Doorbell

T = TypeVar("T")

# Reads are short and this machine's cores are few; a caller beyond it waits for a thread.
READERS = 4
# A batch writes rows all over the indices of fingerprints; SQLite's own 2 MiB hold those of some
# 30,000, and beyond it reads each page anew.
_CACHE_KIB = 16 * 1024


class SqliteStore(Store):
    """Open it in the loop that uses it; its clock is the store's clock."""

    def __init__(self, path: Path, clock: Clock, *, publishes: bool = False) -> None:
        """`publishes` as in Tx."""
        self._path = path
        self._clock = clock
        self._publishes = publishes
        self._doorbell = Doorbell()
        self._writer: GroupWriter | None = None
        self._connection: Connection | None = None
        self._readers: SimpleQueue[Connection] = SimpleQueue()
        self._threads: ThreadPoolExecutor | None = None

    async def open(self) -> None:
        """Make or migrate the file and start. Raises ConfigError when it can't be used."""
        raw, self._connection = await asyncio.to_thread(self._open_writer)
        self._writer = GroupWriter("store-writer", raw)
        await self._open_readers()

    async def open_readonly(self) -> None:
        """For reading verbs, beside a running engine too; `write` then raises ConfigError."""
        await self._open_readers()
        if not await self._in_reader(is_current):
            await self.close()
            raise ConfigError(
                f"{str(self._path)!r} was written by another version of quell: run `quell up` "
                "or `quell serve` of this version on it first"
            )

    async def close(self) -> None:
        """Commit what was asked for and close the file."""
        if self._writer is not None:
            await self._writer.close()
        if self._threads is not None:
            await asyncio.to_thread(self._threads.shutdown)
            self._threads = None
        while not self._readers.empty():
            self._readers.get().close()
        if self._connection is not None:
            self._connection.close()

    def is_full(self) -> bool:
        """Whether its disk has so little left that nothing new should begin."""
        return is_full(self._path)

    @override
    async def write(self, work: Callable[[Tx], T]) -> T:
        writer, connection = self._writer, self._connection
        if writer is None or connection is None:
            raise ConfigError("this store was opened for reading only")

        def execute() -> tuple[T, bool]:
            tx = SqlTx(connection, self._clock.now, publishes=self._publishes)
            with classified():
                result = work(tx)
                tx.flush()
            return result, tx.woke

        def committed(outcome: tuple[T, bool]) -> None:
            if outcome[1]:
                self._doorbell.ring()

        return (await writer.execute(execute, committed))[0]

    @override
    async def read(self, work: Callable[[Tx], T]) -> T:
        def execute(connection: Connection) -> T:
            tx = SqlTx(connection, self._clock.now, reading=True)
            with classified():
                result = work(tx)
                tx.flush()  # nothing, or the database's refusal to write
            return result

        return await self._in_reader(execute)

    @override
    async def wait_for_work(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._doorbell.wait()
        except TimeoutError:
            pass

    def _open_writer(self) -> tuple[sqlite3.Connection, Connection]:
        raw = open_writer(self._path)
        connection = _sqlalchemy(raw)
        try:
            with classified():
                raw.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
                raw.execute("BEGIN IMMEDIATE")
                migrate(connection)
                raw.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return raw, connection

    async def _open_readers(self) -> None:
        for _ in range(READERS):
            self._readers.put(_sqlalchemy(await asyncio.to_thread(open_reader, self._path)))
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")

    async def _in_reader(self, work: Callable[[Connection], T]) -> T:
        if self._threads is None:
            raise TransientError("the store is closed")

        def execute() -> T:
            connection = self._readers.get()
            try:
                with classified():
                    connection.exec_driver_sql("BEGIN")
                try:
                    return work(connection)
                finally:
                    connection.exec_driver_sql("ROLLBACK")
            finally:
                self._readers.put(connection)

        return await asyncio.get_running_loop().run_in_executor(self._threads, execute)


def _sqlalchemy(raw: sqlite3.Connection) -> Connection:
    """SQLAlchemy's view of one connection whose transactions begin and end outside of it."""
    _HANDED_OVER.raw = raw
    return _engine().connect()


# What the engine connects to next, in this thread.
_HANDED_OVER = local()


@cache
def _engine() -> Engine:
    """One for all connections: it remembers each statement's text, which takes long to make."""
    return create_engine(
        "sqlite://",
        creator=lambda: _HANDED_OVER.raw,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
    )
