"""The embedded stream's file: numbered records of each partition; synchronous, for two threads."""

import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.core.positions import misplaced
from engine.errors import ConfigError, FullError, PermanentError, StoppedError
from engine.ports.stream import Message, Record
from engine.store.disk import require_free
from engine.store.faults import classify
from engine.store.sqlite_files import open_reader, open_writer

# Batches are held in memory as a whole, so they end here even if more records were asked for.
MAX_BATCH_BYTES = 8 * 1024 * 1024

# A record's place is its partition and offset in one integer, so that one tree holds the log.
_OFFSET_BITS = 48
_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (id TEXT PRIMARY KEY, partitions INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS trimmed (partition INTEGER PRIMARY KEY, before INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS records (
  place INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS marks (
  partition INTEGER NOT NULL, at_us INTEGER NOT NULL, before INTEGER NOT NULL,
  PRIMARY KEY (partition, at_us)
) WITHOUT ROWID;
"""
_INSERT = "INSERT INTO records (place, key, value) VALUES (?, ?, ?)"
_READ = """
SELECT place, key, value FROM records WHERE place >= ? AND place < ? ORDER BY place LIMIT ?
"""
_LAST = "SELECT max(place) FROM records WHERE place >= ? AND place < ?"
_TRIM = """
DELETE FROM records WHERE place IN (
  SELECT place FROM records WHERE place >= ? AND place < ? ORDER BY place LIMIT ?
)
"""
_SET_TRIMMED = """
INSERT INTO trimmed (partition, before) VALUES (?, ?)
ON CONFLICT (partition) DO UPDATE SET before = max(before, excluded.before)
"""
# When a partition had how many records: a time for all of them costs no more than that.
_MARK = "INSERT OR IGNORE INTO marks (partition, at_us, before) VALUES (?, ?, ?)"
_MARKED = "SELECT max(at_us) FROM marks"
_REACHED = "SELECT max(before) FROM marks WHERE partition = ? AND at_us <= ?"
_FORGET = "DELETE FROM marks WHERE at_us < (SELECT max(at_us) FROM marks WHERE at_us <= ?)"
# Pages that trimming freed are used again, so they count as free.
_USED_BYTES = """
SELECT (page_count - freelist_count) * page_size
FROM pragma_page_count, pragma_freelist_count, pragma_page_size
"""


class LogFile:
    """`insert`, `trim` and `require_room` belong to the writer's thread, `read` to the reader's.

    `starts` is where each partition's records begin, `ends` where they end.
    """

    def __init__(self, path: Path, partitions: int, max_bytes: int) -> None:
        """Open it, or make one with `partitions`. Raises ConfigError, TransientError."""
        self.writer = open_writer(path)
        try:
            self._reader = open_reader(path)
            self.id, self.partitions = _opened(self.writer, partitions)
            self._next = {p: _end(self.writer, p) for p in range(self.partitions)}
            self.starts = {p: _trimmed(self.writer, p) for p in range(self.partitions)}
        except sqlite3.Error as error:
            self.writer.close()
            raise classify(error) from None
        self._path = path
        self._max_bytes = max_bytes
        if self.partitions != partitions:
            self.close()
            raise ConfigError(
                f"{str(path)!r} has {self.partitions} partitions and the settings say "
                f"{partitions}: keep the number, or start with a new file"
            )

    @property
    def name(self) -> str:
        """With the file's own id, as engine.core.positions says."""
        return f"embedded@{self.id}"

    def ends(self) -> Mapping[int, int]:
        """The offset after the last record of each partition."""
        return dict(self._next)

    def insert(self, placed: Sequence[tuple[int, Message]]) -> Mapping[int, int]:
        """Add in order, inside the writer's transaction; the new ends of what was touched.

        Raises FullError when the file is full.
        """
        self.require_room(sum(len(message.value) for _, message in placed))
        ends: dict[int, int] = {}
        rows = []
        for partition, message in placed:
            offset = ends.get(partition, self._next[partition])
            rows.append((_place(partition, offset), message.key, message.value))
            ends[partition] = offset + 1
        try:
            self.writer.executemany(_INSERT, rows)
        except sqlite3.Error as error:
            raise classify(error) from None
        except UnicodeEncodeError as error:
            raise PermanentError(f"the key {error.object!r} can't be stored: {error}") from None
        self._next.update(ends)
        return ends

    def read(self, partition: int, offset: int, max_records: int) -> Sequence[Record]:
        """From `offset` on. Raises StoppedError when records there are gone or never were."""
        try:
            first = _trimmed(self._reader, partition)
            end = max(_end(self._reader, partition), first)
            if not first <= offset <= end:
                raise StoppedError({partition: misplaced(self.name, partition, offset, first, end)})
            found: list[Record] = []
            size = 0
            for place, key, value in self._reader.execute(
                _READ, (_place(partition, offset), _place(partition + 1, 0), max_records)
            ):
                found.append(Record(partition, place - _place(partition, 0), key, value))
                size += len(value)
                if size >= MAX_BATCH_BYTES:
                    break
        except sqlite3.Error as error:
            raise classify(error) from None
        return found

    def first(self, partition: int) -> int:
        """The offset of the first record that isn't trimmed, for the reader's thread."""
        try:
            return _trimmed(self._reader, partition)
        except sqlite3.Error as error:
            raise classify(error) from None

    def trim(self, partition: int, before: int, limit: int) -> int:
        """Remove up to `limit` of the records below `before`; how many went."""
        before = min(before, self._next[partition])
        try:
            bounds = (_place(partition, 0), _place(partition, before), limit)
            self.writer.execute(_SET_TRIMMED, (partition, before))
            gone = self.writer.execute(_TRIM, bounds).rowcount
        except sqlite3.Error as error:
            raise classify(error) from None
        self.starts[partition] = max(self.starts[partition], before)
        return gone

    def mark(self, at_us: int, every_us: int) -> None:
        """Note what is there now, unless that was noted less than `every_us` ago."""
        try:
            (last,) = self.writer.execute(_MARKED).fetchone()
            if last is None or at_us - last >= every_us:
                rows = [(partition, at_us, end) for partition, end in self._next.items()]
                self.writer.executemany(_MARK, rows)
        except sqlite3.Error as error:
            raise classify(error) from None

    def reached(self, at_us: int) -> Mapping[int, int]:
        """Up to where each partition went at that time, as far as it was marked; else 0.

        Older marks are forgotten.
        """
        try:
            found = {
                partition: self.writer.execute(_REACHED, (partition, at_us)).fetchone()[0] or 0
                for partition in self._next
            }
            self.writer.execute(_FORGET, (at_us,))
        except sqlite3.Error as error:
            raise classify(error) from None
        return found

    def fullness(self) -> float:
        """Of 1, how much of the file's bound is used."""
        return self._used_bytes() / self._max_bytes

    def require_room(self, size: int) -> None:
        """Raise FullError when so many bytes more would pass the file's bound.

        Raises TransientError when the disk leaves no room for them.
        """
        require_free(self._path, size)
        used = self._used_bytes()
        if used + size > self._max_bytes:
            raise FullError(
                f"the stream is full ({used} of {self._max_bytes} bytes) of records that are not "
                "decided on yet: the pipeline is behind, or retention.stream_size is too small"
            )

    def _used_bytes(self) -> int:
        used: int = self.writer.execute(_USED_BYTES).fetchone()[0]
        return used

    def close(self) -> None:
        """Close both connections."""
        self._reader.close()
        self.writer.close()


def _opened(connection: sqlite3.Connection, partitions: int) -> tuple[str, int]:
    connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA}")
    found = connection.execute("SELECT id, partitions FROM log").fetchone()
    if found is None:
        found = (os.urandom(8).hex(), partitions)
        connection.execute("INSERT INTO log (id, partitions) VALUES (?, ?)", found)
    connection.execute("COMMIT")
    return found[0], found[1]


def _end(connection: sqlite3.Connection, partition: int) -> int:
    bounds = (_place(partition, 0), _place(partition + 1, 0))
    (last,) = connection.execute(_LAST, bounds).fetchone()
    if last is None:
        return _trimmed(connection, partition)
    end: int = last - _place(partition, 0) + 1
    return end


def _trimmed(connection: sqlite3.Connection, partition: int) -> int:
    statement = "SELECT before FROM trimmed WHERE partition = ?"
    found = connection.execute(statement, (partition,)).fetchone()
    return found[0] if found else 0


def _place(partition: int, offset: int) -> int:
    return (partition << _OFFSET_BITS) + offset
