"""Statements that SQLite and PostgreSQL spell differently, each built once."""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import asyncpg
from sqlalchemy import Connection, Dialect, Executable, Table, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ColumnElement

# What the conflicting insert would have written, by column name.
Excluded = Any
Change = Callable[[Excluded], Mapping[str, ColumnElement[Any]]]
Numbering = Literal["incident_number", "lease_token"]

# Room for a fixed number of statement shapes: prepared statements are kept by their text.
_LARGEST_CHUNK = 512


@dataclass(frozen=True, slots=True)
class Spelled:
    """One statement in both dialects."""

    sqlite: Executable
    postgresql: Executable

    def on(self, connection: Connection) -> Executable:
        """The spelling that this connection understands."""
        return self.sqlite if connection.dialect.name == "sqlite" else self.postgresql

    def put(self, connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
        """Execute an INSERT for each row, whose values are in the order of the table's columns.

        As with `bare_rows`, no column's type may convert its values.
        """
        _each(connection, _bare(self.on(connection), connection.dialect).text, rows)


def bare_rows(
    connection: Connection, statement: Executable, values: Mapping[str, object]
) -> Sequence[Sequence[Any]]:
    """The rows of a statement, whose values and columns go to and from the driver as they are.

    No column's type may convert, and no value may be missing: SQLAlchemy takes ten times as long
    for a row as SQLite does, and three times as long as asyncpg.
    """
    bare = _bare(statement, connection.dialect)
    text, ordered = bare.text, bare.ordered(values)
    raw = connection.connection
    found: Sequence[Sequence[Any]]
    try:
        if isinstance(driver := raw.driver_connection, sqlite3.Connection):
            found = driver.execute(text, ordered).fetchall()
        else:
            found = _driven(raw.dbapi_connection, lambda on: on.fetch(text, *ordered))
    except _COLLISIONS as error:
        raise IntegrityError(text, None, error) from None
    return found


def first_row(
    connection: Connection, statement: Executable, values: Mapping[str, object]
) -> Sequence[Any] | None:
    """The first of `bare_rows`, None without any."""
    found = bare_rows(connection, statement, values)
    return found[0] if found else None


def bare_each(
    connection: Connection, statement: Executable, values: Sequence[Mapping[str, object]]
) -> None:
    """Execute a statement for each of these, as `bare_rows` does."""
    bare = _bare(statement, connection.dialect)
    _each(connection, bare.text, [bare.ordered(each) for each in values])


def _each(connection: Connection, text: str, rows: Sequence[tuple[object, ...]]) -> None:
    if not rows:
        return
    raw = connection.connection
    try:
        if isinstance(driver := raw.driver_connection, sqlite3.Connection):
            driver.executemany(text, rows)
        elif len(rows) == 1:
            _driven(raw.dbapi_connection, lambda on: on.fetch(text, *rows[0]))
        else:
            _driven(raw.dbapi_connection, lambda on: on.executemany(text, rows))
    except _COLLISIONS as error:
        raise IntegrityError(text, None, error) from None


def _driven(adapted: Any, ask: Callable[[Any], Awaitable[Any]]) -> Any:
    """What asyncpg's connection answers, inside of SQLAlchemy's `run_sync`."""
    return adapted.run_async(ask)


# What SQLAlchemy would raise its own error for: a row collides with another one.
_COLLISIONS = (sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError)


@dataclass(frozen=True, slots=True)
class _Bare:
    """A statement's text, and the names of its values in their order; `fixed` are those it has."""

    text: str
    names: Sequence[str]
    fixed: Mapping[str, object]

    def ordered(self, values: Mapping[str, object]) -> tuple[object, ...]:
        if self.fixed:
            values = {**self.fixed, **values}
        return tuple([values[name] for name in self.names])


@lru_cache(maxsize=256)
def _bare(statement: Executable, dialect: Dialect) -> _Bare:
    compiled: SQLCompiler = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
    fixed = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
    return _Bare(str(compiled), tuple(compiled.positiontup or ()), fixed)


def upsert(table: Table, change: Change | None = None, returning: Sequence[str] = ()) -> Spelled:
    """INSERT, or change the row with the same primary key: by default every other column."""
    keys = [column.name for column in table.primary_key]

    def spell(dialect: Any) -> Executable:
        statement = dialect.insert(table)
        new = statement.excluded
        changes = change(new) if change else {c.name: c for c in new if c.name not in keys}
        statement = statement.on_conflict_do_update(index_elements=keys, set_=changes)
        if returning:
            statement = statement.returning(*(table.c[name] for name in returning))
        executable: Executable = statement
        return executable

    return Spelled(spell(sqlite), spell(postgresql))


def insert_new(table: Table) -> Spelled:
    """INSERT that leaves any row it collides with as it is; the row count tells."""
    return Spelled(
        sqlite.insert(table).on_conflict_do_nothing(),
        postgresql.insert(table).on_conflict_do_nothing(),
    )


def chunked(keys: Sequence[str]) -> Sequence[Sequence[str]]:
    """`keys` in parts whose lengths are powers of two (the last key repeats to fill).

    Few lengths are few statement texts, so that a batch of a new size needs no new preparation.
    """
    parts = []
    for start in range(0, len(keys), _LARGEST_CHUNK):
        part = list(keys[start : start + _LARGEST_CHUNK])
        size = 1 << (len(part) - 1).bit_length()
        parts.append(part + [part[-1]] * (size - len(part)))
    return parts


_NEXT_NUMBER = {
    name: Spelled(
        text(f"UPDATE numbers SET value = value + 1 WHERE name = '{name}' RETURNING value"),
        text(f"SELECT nextval('{name}')"),
    )
    for name in ("incident_number", "lease_token")
}


def next_number(connection: Connection, name: Numbering) -> int:
    """The next number of a sequence; on PostgreSQL a rolled back one leaves a gap."""
    ((number,),) = bare_rows(connection, _NEXT_NUMBER[name].on(connection), {})
    return int(number)


_LAST_NUMBER = {
    name: Spelled(
        text(f"SELECT value FROM numbers WHERE name = '{name}'"),
        text(f"SELECT last_value FROM {name}"),
    )
    for name in _NEXT_NUMBER
}


def last_number(connection: Connection, name: Numbering) -> int:
    """The number that was given last; it never falls."""
    number: int = connection.execute(_LAST_NUMBER[name].on(connection)).scalar_one()
    return number
