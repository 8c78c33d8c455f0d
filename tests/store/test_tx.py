"""What a transaction gathers is written in the order in which every writer locks rows."""

import re
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Connection, event

from engine.ports.rows import Task
from engine.store.tx import SqlTx
from tests.services.stores import START
from tests.store.values import an_incident, note


@pytest.fixture
def written(connection: Connection) -> list[str]:
    """The tables that are written to, in order."""
    tables: list[str] = []

    @event.listens_for(connection, "before_cursor_execute")
    def _(*execution: object) -> None:
        if found := re.match(r"(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)", str(execution[2])):
            tables.append(found[1])

    return tables


def test_writes_are_few_and_in_one_order(connection: Connection, written: list[str]) -> None:
    tx = SqlTx(connection, lambda: START)
    for n in (2, 1, 3):
        tx.count({"a": 1})
        tx.put_task(Task("run", f"t{n}", START, 1, {}))
        tx.append(f"incident/{n}", [note("x"), note("y")])
        tx.put_incident(an_incident(f"i{n}", number=n))
    assert written == []
    tx.flush()
    assert written == ["incidents", "heads", "entries", "tasks", "counters"]
    tx.flush()
    assert len(written) == 5


def test_rows_of_one_table_are_written_in_one_order(connection: Connection) -> None:
    def written(*names: str) -> list[str]:
        tx = SqlTx(connection, lambda: START)
        for name in names:
            tx.put_task(Task("run", name, START, 1, {}))
            tx.append(name, [note("x")])
            tx.put_incident(an_incident(name, number=ord(name)))
            tx.count({name: 1})
        rows: list[str] = []

        def keep(*execution: Any) -> None:
            many = execution[3] if execution[5] else [execution[3]]
            rows.extend(str(values[0]) for values in many)

        event.listen(connection, "before_cursor_execute", keep)
        tx.flush()
        event.remove(connection, "before_cursor_execute", keep)
        return rows

    assert written(*"cab") == written(*"bca") == written(*"abc")


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
