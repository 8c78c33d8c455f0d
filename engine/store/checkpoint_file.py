"""Copies of checkpoints in a file, best on another disk: appended, synced, never rewritten."""

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from typing_extensions import override

from engine.core.audit_export import read_copies
from engine.errors import TransientError
from engine.ports.signer import CheckpointCopy

# Several checkpoints of a usual size; a longer line is read with more.
_FIRST_WINDOW_BYTES = 64 * 1024


class CheckpointFile(CheckpointCopy):
    """One file of JSON lines; its folder must be there.

    A folder is never made: where the other disk isn't mounted, the copy would stay on this one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._busy = threading.Lock()

    @property
    @override
    def name(self) -> str:
        return str(self._path)

    @override
    async def last_seq(self) -> int:
        with _told():
            return await asyncio.to_thread(self._last_seq)

    @override
    async def append(self, lines: bytes) -> None:
        with _told():
            await asyncio.to_thread(self._append_alone, lines)

    @override
    async def close(self) -> None:
        """Nothing is open between two appends."""

    def _last_seq(self) -> int:
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return 0
        with file:
            size = file.seek(0, os.SEEK_END)
            window = _FIRST_WINDOW_BYTES
            while size:
                start = max(size - window, 0)
                file.seek(start)
                # Half a line, at either end of a window, is no copy.
                copies, _ = read_copies(file.read(size - start).splitlines(keepends=True))
                if copies:
                    return copies[-1].seq
                if start == 0:
                    break
                window *= 4
        return 0

    def _append_alone(self, lines: bytes) -> None:
        # A disk that hangs holds one thread, not one more each minute.
        if not self._busy.acquire(blocking=False):
            raise OSError(f"the write before to {self.name!r} has not ended")
        try:
            self._append(lines)
        finally:
            self._busy.release()

    def _append(self, lines: bytes) -> None:
        is_new = not self._path.exists()
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        with os.fdopen(os.open(self._path, flags, 0o600), "rb+", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
                lines = b"\n" + lines  # a crash cut the last one off: it comes again, whole
            while lines:
                lines = lines[file.write(lines) :]
            os.fsync(file.fileno())
        if is_new:
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


@contextmanager
def _told() -> Iterator[None]:
    """A disk's errors as quell's."""
    try:
        yield
    except OSError as error:
        raise TransientError(str(error)) from error
