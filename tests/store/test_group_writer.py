"""Groups of works share a durable commit, and nobody suffers for another."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event

import pytest

from engine.errors import TransientError
from engine.store.group_writer import MAX_GROUP, GroupWriter
from engine.store.sqlite_files import open_writer

DEADLINE_S = 20.0


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[sqlite3.Connection]:
    connection = open_writer(tmp_path / "a.db")
    connection.execute("CREATE TABLE numbers (n INTEGER PRIMARY KEY)")
    yield connection
    connection.close()


@pytest.fixture
async def writer(connection: sqlite3.Connection) -> AsyncIterator[GroupWriter]:
    writer = GroupWriter("test-writer", connection)
    async with asyncio.timeout(DEADLINE_S):
        yield writer
    await writer.close()


def inserting(connection: sqlite3.Connection, number: int) -> Callable[[], int]:
    def work() -> int:
        connection.execute("INSERT INTO numbers VALUES (?)", (number,))
        return number

    return work


def numbers(connection: sqlite3.Connection) -> list[int]:
    return [n for (n,) in connection.execute("SELECT n FROM numbers ORDER BY n")]


@asynccontextmanager
async def one_group(writer: GroupWriter) -> AsyncIterator[asyncio.TaskGroup]:
    """What is started inside becomes one group: the writer's thread is busy until the end."""
    started, go = Event(), Event()

    def keep_busy() -> None:
        started.set()
        go.wait(DEADLINE_S)

    async with asyncio.TaskGroup() as group:
        group.create_task(writer.execute(keep_busy))
        await asyncio.to_thread(started.wait, DEADLINE_S)
        yield group
        await asyncio.sleep(0)
        go.set()


async def test_a_group_commits_once(connection: sqlite3.Connection, writer: GroupWriter) -> None:
    statements: list[str] = []
    async with one_group(writer) as group:
        tasks = [group.create_task(writer.execute(inserting(connection, n))) for n in range(50)]
        connection.set_trace_callback(statements.append)
    connection.set_trace_callback(None)
    assert [task.result() for task in tasks] == list(range(50)) == numbers(connection)
    assert statements.count("BEGIN IMMEDIATE") == 1
    assert statements.count("SAVEPOINT work") == 50


async def test_a_failing_work_among_good_ones_fails_alone(
    connection: sqlite3.Connection, writer: GroupWriter
) -> None:
    def fail() -> None:
        inserting(connection, 99)()
        raise ZeroDivisionError

    def stop() -> None:
        next(iter(()))

    async with one_group(writer) as group:
        good = group.create_task(writer.execute(inserting(connection, 1)))
        bad = group.create_task(raises(writer.execute(fail), ZeroDivisionError))
        twice = group.create_task(
            raises(writer.execute(inserting(connection, 1)), sqlite3.IntegrityError)
        )
        stopped = group.create_task(raises(writer.execute(stop), RuntimeError))
        other = group.create_task(writer.execute(inserting(connection, 2)))
    assert [each.done() for each in (good, bad, twice, stopped, other)] == [True] * 5
    assert numbers(connection) == [1, 2]


async def raises(awaited: Awaitable[object], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await awaited


async def test_a_transaction_that_sqlite_ended_fails_its_group_and_not_the_next(
    connection: sqlite3.Connection, writer: GroupWriter
) -> None:
    async with one_group(writer) as group:
        for work in (inserting(connection, 1), lambda: connection.execute("ROLLBACK")):
            group.create_task(raises(writer.execute(work), TransientError))
    assert numbers(connection) == []
    assert await writer.execute(inserting(connection, 2)) == 2


async def test_a_commit_and_a_rollback_that_fail_end_no_thread_and_leave_nothing_behind(
    connection: sqlite3.Connection, writer: GroupWriter
) -> None:
    refused = {"COMMIT", "ROLLBACK"}

    def refuse(action: int, operation: str | None, *_: object) -> int:
        ends = action == sqlite3.SQLITE_TRANSACTION and operation in refused
        return sqlite3.SQLITE_DENY if ends else sqlite3.SQLITE_OK

    connection.set_authorizer(refuse)
    for number in (1, 2):
        await raises(writer.execute(inserting(connection, number)), TransientError)
    refused.remove("ROLLBACK")
    await raises(writer.execute(inserting(connection, 3)), TransientError)
    refused.clear()
    assert await writer.execute(inserting(connection, 4)) == 4
    assert numbers(connection) == [4]


async def test_a_cancelled_caller_is_told_nothing_and_others_all(
    connection: sqlite3.Connection, writer: GroupWriter
) -> None:
    committed: list[int] = []
    async with one_group(writer) as group:
        first = group.create_task(writer.execute(inserting(connection, 1), committed.append))
        second = group.create_task(writer.execute(inserting(connection, 2), committed.append))
        await asyncio.sleep(0)
        first.cancel()
    assert first.cancelled()
    assert second.result() == 2
    assert committed == numbers(connection) == [1, 2]


async def test_more_than_a_group_waits_its_turn(
    connection: sqlite3.Connection, writer: GroupWriter
) -> None:
    async with asyncio.TaskGroup() as group:
        for n in range(6 * MAX_GROUP):
            group.create_task(writer.execute(inserting(connection, n)))
    assert numbers(connection) == list(range(6 * MAX_GROUP))


async def test_closing_commits_what_was_asked_for_and_refuses_more(
    connection: sqlite3.Connection, writer: GroupWriter
) -> None:
    async with asyncio.TaskGroup() as group:
        for n in range(20):
            group.create_task(writer.execute(inserting(connection, n)))
        await asyncio.sleep(0)
        await writer.close()
    assert numbers(connection) == list(range(20))
    with pytest.raises(TransientError, match="closed"):
        await writer.execute(inserting(connection, 20))
    await writer.close()
