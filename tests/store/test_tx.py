"""What a transaction gathers is written in the order in which every writer locks rows."""

import re
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter

import pytest
from sqlalchemy import Connection

from engine.ports.rows import Task
from engine.store.tx import SqlTx
from tests.services.stores import START
from tests.store.values import an_incident, note

WRITES = re.compile(r"(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)[^']*(?:VALUES|SET)[^']*'([^']*)'")


@pytest.fixture
def statements(connection: Connection) -> list[str]:
    """What SQLite itself is asked from here on, a text for each row, with its values."""
    asked: list[str] = []
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.set_trace_callback(asked.append)
    return asked


def written(statements: Sequence[str]) -> list[tuple[str, str]]:
    """The table of each row that is written, and the first text in it."""
    found = (WRITES.match(each) for each in statements)
    return [(each[1], each[2]) for each in found if each]


def test_writes_are_few_and_in_one_order(connection: Connection, statements: list[str]) -> None:
    tx = SqlTx(connection, lambda: START)
    for n in (2, 1, 3):
        tx.count({"a": 1})
        tx.put_task(Task("run", f"t{n}", START, 1, {}))
        tx.append(f"incident/{n}", [note("x"), note("y")])
        tx.put_incident(an_incident(f"i{n}", number=n))
    assert written(statements) == []
    tx.flush()
    tables = [table for table, _ in groupby(written(statements), key=itemgetter(0))]
    assert tables == ["incidents", "heads", "entries", "tasks", "counters"]
    statements.clear()
    tx.flush()
    assert written(statements) == []


def test_rows_of_one_table_are_written_in_one_order(
    connection: Connection, statements: list[str]
) -> None:
    def rows_of(*names: str) -> list[tuple[str, str]]:
        tx = SqlTx(connection, lambda: START)
        for name in names:
            tx.put_task(Task("run", name, START, 1, {}))
            tx.append(name, [note("x")])
            tx.put_incident(an_incident(name, number=ord(name)))
            tx.count({name: 1})
        statements.clear()
        tx.flush()
        return written(statements)

    assert len(rows_of(*"abc")) == 5 * 3
    assert rows_of(*"cab") == rows_of(*"bca") == rows_of(*"abc")


def test_the_clock_is_asked_once_and_only_when_needed(connection: Connection) -> None:
    asked: list[datetime] = []

    def clock() -> datetime:
        asked.append(START)
        return START

    tx = SqlTx(connection, clock)
    tx.count({"a": 1})
    tx.flush()
    assert asked == []
    assert (tx.now, tx.now) == (START, START)
    assert asked == [START]


def test_only_what_makes_a_task_due_wakes(connection: Connection) -> None:
    quiet, loud = SqlTx(connection, lambda: START), SqlTx(connection, lambda: START)
    quiet.count({"a": 1})
    quiet.cancel_task("run", "t")
    quiet.flush()
    loud.wake_task("run", "t")
    loud.flush()
    assert (quiet.woke, loud.woke) == (False, True)


def test_locked_chains_without_entries_are_no_chains(connection: Connection) -> None:
    tx = SqlTx(connection, lambda: START)
    tx.lock_chains(["b", "a"])
    tx.append("a", [note("x")])
    tx.flush()
    assert set(tx.heads()) == {"a"}
