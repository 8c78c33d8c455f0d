"""One thread that commits to a SQLite file, in groups: many callers share each durable commit."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

from engine.errors import TransientError
from engine.store.faults import unreachable

T = TypeVar("T")

# A group's commit is waited for by all in it: this many keep the wait near that of one.
MAX_GROUP = 256
# Callers beyond this wait before they are queued, so that the queue stays small.
MAX_QUEUED = 4 * MAX_GROUP


@dataclass(slots=True)
class _Item(Generic[T]):
    work: Callable[[], T]
    committed: Callable[[T], None]
    future: asyncio.Future[T]
    result: T | None = None
    error: BaseException | None = None


class GroupWriter:
    """Executes works one after the other, each in a savepoint of its group's transaction."""

    def __init__(self, name: str, connection: sqlite3.Connection) -> None:
        """Takes over `connection`, which must be in autocommit mode; call in a running loop."""
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Item[Any] | None] = SimpleQueue()
        self._free = asyncio.Semaphore(MAX_QUEUED)
        self._closed = False
        self._thread = Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    async def execute(
        self, work: Callable[[], T], committed: Callable[[T], None] = lambda _: None
    ) -> T:
        """The result of `work`, after it is durable. Its error rises, and undoes only itself.

        `committed` is called in the loop after the commit, even where this call was cancelled:
        then the work may or may not be done.
        """
        async with self._free:
            if self._closed:
                raise TransientError("the store is closed")
            item: _Item[T] = _Item(work, committed, self._loop.create_future())
            self._queue.put(item)
            return await item.future

    async def close(self) -> None:
        """Commit what is queued and end the thread."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join)

    def _serve(self) -> None:
        serving = True
        while serving:
            group, serving = self._next_group()
            if group:
                self._commit(group)
                self._loop.call_soon_threadsafe(_deliver, group)

    def _next_group(self) -> tuple[Sequence[_Item[Any]], bool]:
        """Wait for one, take what else is there; False after the last."""
        group: list[_Item[Any]] = []
        item = self._queue.get()
        while item is not None:
            group.append(item)
            if len(group) == MAX_GROUP:
                return group, True
            try:
                item = self._queue.get_nowait()
            except Empty:
                return group, True
        return group, False

    def _commit(self, group: Sequence[_Item[Any]]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for item in group:
                self._attempt(item)
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - all who wait are told, and the thread lives on
            self._roll_back()
            for item in group:
                item.error = item.error or unreachable(error)

    def _roll_back(self) -> None:
        """What can't be rolled back now (the disk is bad) fails the next group, which tries too."""
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _attempt(self, item: _Item[Any]) -> None:
        self._connection.execute("SAVEPOINT work")
        try:
            item.result = item.work()
        except BaseException as error:  # noqa: BLE001 - it rises in the caller, who waits for it
            # A future refuses StopIteration, and then nobody in the group would be answered.
            stopped = isinstance(error, StopIteration)
            item.error = RuntimeError(f"the work raised {error!r}") if stopped else error
            # Where SQLite itself ended the transaction (the disk is full), this fails the group.
            self._connection.execute("ROLLBACK TO work")
        self._connection.execute("RELEASE work")


def _deliver(group: Sequence[_Item[Any]]) -> None:
    for item in group:
        if item.error is None:
            item.committed(item.result)
        if item.future.done():
            continue  # the caller was cancelled
        if item.error is None:
            item.future.set_result(item.result)
        else:
            item.future.set_exception(item.error)
