"""SQLite files as quell keeps them: private, write-ahead logged, synced at each commit."""

import os
import sqlite3
from pathlib import Path

from engine.errors import ConfigError
from engine.store.faults import unreachable

# Another process (a reading verb of the CLI) holds a lock for moments only.
_BUSY_TIMEOUT_S = 5.0
# The log is cut to this after a checkpoint that could empty it.
_MAX_IDLE_LOG_BYTES = 64 * 1024 * 1024


def open_writer(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode whose commits are durable; makes the file (mode 0600)."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise ConfigError(f"{str(path)!r} can't be opened: {error.strerror}") from None
    connection = _connected(f"{path.absolute().as_uri()}?mode=rw")
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {_MAX_IDLE_LOG_BYTES}")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _unusable(path, error) from None
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that can write nothing. Raises ConfigError when there is no such file."""
    if not path.exists():
        raise ConfigError(f"there is no {str(path)!r}: has an engine ever run on this folder?")
    connection = _connected(f"{path.absolute().as_uri()}?mode=rw")
    try:
        # Opened for writing, because readers of a write-ahead log share its index file.
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _unusable(path, error) from None
    return connection


def _connected(uri: str) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            uri,
            uri=True,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.OperationalError as error:
        raise unreachable(error) from None


def _unusable(path: Path, error: sqlite3.DatabaseError) -> Exception:
    if isinstance(error, sqlite3.OperationalError):
        return unreachable(error)
    return ConfigError(f"{str(path)!r} is not a database of quell's: {error}")
