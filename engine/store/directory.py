"""The data folder: who may read it, where its files are, and that one engine alone uses it."""

import contextlib
import fcntl
import os
from pathlib import Path

from engine.errors import ConfigError


class DataDirectory:
    """A folder with a store, a stream and a lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def store_path(self) -> Path:
        """The SQLite file of the store."""
        return self.path / "quell.db"

    @property
    def stream_path(self) -> Path:
        """The SQLite file of the embedded stream."""
        return self.path / "stream.db"

    @property
    def spool_path(self) -> Path:
        """The SQLite file of what waits for a stream that is away."""
        return self.path / "spool.db"

    @property
    def stop_path(self) -> Path:
        """While a person keeps this file here, everything is stopped."""
        return self.path / "STOP"

    @property
    def lock_path(self) -> Path:
        """Locked by the engine that runs here; it holds its process id."""
        return self.path / "lock"

    def open(self) -> None:
        """Make the folder and take its lock. Raises ConfigError when an engine has it."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"the data folder {str(self.path)!r} can't be used: {error.strerror}; "
                "choose another with --data"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 32).decode(errors="replace").strip()
            os.close(lock)
            raise ConfigError(
                f"the data folder {str(self.path)!r} is in use by a running engine (process "
                f"{holder or 'unknown'}): stop that one, or choose another folder with --data"
            ) from None
        # For people alone; a full disk is told by those who need the room.
        with contextlib.suppress(OSError):
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def close(self) -> None:
        """Give the lock back; the file stays, because removing it would let two take it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
