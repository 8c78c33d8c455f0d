"""Which errors of a database are worth another try, and that no message tells too much."""

import sqlite3

import asyncpg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from engine.errors import ConfigError, PermanentError, QuellError, TransientError
from engine.store.faults import classified, classify, is_conflict


def sqlite_error(code: int, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> sqlite3.Error:
    error = kind("words")
    error.sqlite_errorcode = code
    return error


CLASSES: list[tuple[str, BaseException, type[QuellError]]] = [
    ("busy", sqlite_error(sqlite3.SQLITE_BUSY), TransientError),
    ("disk full", sqlite_error(sqlite3.SQLITE_FULL), TransientError),
    ("io", sqlite_error(sqlite3.SQLITE_IOERR), TransientError),
    ("no such table", sqlite_error(sqlite3.SQLITE_ERROR), PermanentError),
    ("corrupt", sqlite_error(sqlite3.SQLITE_CORRUPT, sqlite3.DatabaseError), PermanentError),
    ("refused connection", ConnectionRefusedError("words"), TransientError),
    ("shutdown", asyncpg.AdminShutdownError("words"), TransientError),
    ("too many", asyncpg.TooManyConnectionsError("words"), TransientError),
    ("standby", asyncpg.ReadOnlySQLTransactionError("words"), TransientError),
    ("lock", asyncpg.LockNotAvailableError("words"), TransientError),
    ("timed out", asyncpg.QueryCanceledError("words"), TransientError),
    ("farewell", asyncpg.InternalClientError("words"), TransientError),
    ("password", asyncpg.InvalidPasswordError("words"), ConfigError),
    ("database", asyncpg.InvalidCatalogNameError("words"), ConfigError),
    ("constraint", asyncpg.CheckViolationError("words"), PermanentError),
    ("pool", PoolTimeoutError("words"), TransientError),
]


@pytest.mark.parametrize(("error", "expected"), [row[1:] for row in CLASSES], ids=lambda v: str(v))
def test_an_error_is_classified(error: BaseException, expected: type[QuellError]) -> None:
    with pytest.raises(expected, match="words"):
        raise classify(error)
    if not isinstance(error, sqlite3.Error):
        with pytest.raises(expected, match="words"), classified():
            raise error


def test_quells_own_errors_pass() -> None:
    with pytest.raises(ConfigError, match="mine"), classified():
        raise ConfigError("mine")


def test_only_the_first_line_is_told() -> None:
    told = str(classify(asyncpg.CheckViolationError("violates\nDETAIL: row (secret)")))
    assert "violates" in told
    assert "secret" not in told


def test_values_are_not_told() -> None:
    engine = create_engine("sqlite://", hide_parameters=True)
    with engine.connect() as connection, pytest.raises(PermanentError) as raised, classified():
        connection.execute(text("SELECT * FROM absent WHERE a = :a"), {"a": "s3cret"})
    assert "absent" in str(raised.value)
    assert "s3cret" not in str(raised.value)
    engine.dispose()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (asyncpg.SerializationError("x"), True),
        (asyncpg.DeadlockDetectedError("x"), True),
        (asyncpg.UniqueViolationError("x"), False),
        (sqlite_error(sqlite3.SQLITE_BUSY), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_conflict_asks_for_another_try(error: Exception, *, expected: bool) -> None:
    assert is_conflict(DBAPIError("statement", None, error)) is expected
