"""What a database's errors mean to quell; no message holds a statement's values or a password."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from engine.errors import ConfigError, PermanentError, QuellError, TransientError

# SQLSTATE classes: connection, transaction rollback, resources, operator intervention, system.
_TRANSIENT_CLASSES = ("08", "40", "53", "57", "58")
# A lock that wasn't had in time; a server that became a standby, whose successor takes writes.
_TRANSIENT_STATES = ("55P03", "25006")
# Wrong credentials, no such database.
_CONFIGURATION_CLASSES = ("28", "3D")
_CONFLICTS = ("40001", "40P01")

# What asyncpg raises of its own. The last one for a statement that comes when the server has said
# farewell and not hung up yet.
DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


def is_conflict(error: DBAPIError | asyncpg.PostgresError) -> bool:
    """Whether executing the same work again is what the server asks for."""
    return _sqlstate(error.orig if isinstance(error, DBAPIError) else error) in _CONFLICTS


@contextmanager
def classified() -> Iterator[None]:
    """Raise what a database raises inside as one of quell's errors."""
    try:
        yield
    except DBAPIError as error:
        raise classify(error.orig, lost=error.connection_invalidated) from None
    except (sqlite3.Error, *DRIVER_ERRORS) as error:
        raise classify(error) from None
    except (PoolTimeoutError, OSError) as error:
        raise unreachable(error) from None
    except SQLAlchemyError as error:
        raise PermanentError(f"the store refused a statement: {type(error).__name__}") from None


def classify(error: BaseException | None, *, lost: bool = False) -> QuellError:
    """By SQLite's error code or PostgreSQL's SQLSTATE; `lost` says that the connection is."""
    if isinstance(error, sqlite3.Error):
        # Only SQLITE_ERROR is about the statement; the others are about the file or its lock.
        about_statement = error.sqlite_errorcode == sqlite3.SQLITE_ERROR
        transient = isinstance(error, sqlite3.OperationalError) and not about_statement
        return unreachable(error) if transient else _refused(error)
    state = _sqlstate(error)
    if lost or state is None or state.startswith(_TRANSIENT_CLASSES) or state in _TRANSIENT_STATES:
        return unreachable(error)
    if state.startswith(_CONFIGURATION_CLASSES):
        return ConfigError(f"the store can't be opened: {_told(error)}; check its URL")
    return _refused(error)


def unreachable(error: BaseException | None) -> TransientError:
    """The store can't be used now."""
    return TransientError(f"the store can't be used now: {_told(error)}")


def _refused(error: BaseException | None) -> PermanentError:
    return PermanentError(f"the store refused a statement: {_told(error)}")


def _sqlstate(error: BaseException | None) -> str | None:
    return getattr(error, "sqlstate", None)


def _told(error: BaseException | None) -> str:
    # The first line: what follows may quote a row.
    words = str(error).splitlines()
    return words[0] if words else type(error).__name__
