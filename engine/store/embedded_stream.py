"""The stream of a single process: a partitioned log in a SQLite file of its own.

Its file is not the store's, so that intake never waits for the pipeline's writer.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from zlib import crc32

from typing_extensions import override

from engine.core.journal import to_us
from engine.errors import PermanentError, StoppedError, TransientError
from engine.ports.stream import (
    STOPPED_ASKS_S,
    Batch,
    Kept,
    Message,
    Positions,
    ReadableStream,
    Record,
    Subscription,
)
from engine.store.group_writer import GroupWriter
from engine.store.log_file import LogFile

DEFAULT_PARTITIONS = 4
# Days of a busy installation; beyond it senders keep what they have (503) until space is free.
DEFAULT_MAX_BYTES = 2 * 1024**3
# Key and value together, as on Kafka, so that what one stream takes the other does.
MAX_RECORD_BYTES = 1_048_000
# Trimming goes in parts of this many records, because appends wait for each part.
_TRIM_RECORDS = 1_000
_READ_RECORDS = 1_000
# Where so much of the file's bound is used, old records go early, until so much is.
NEARLY_FULL = 0.9
ROOMY = 0.8
_MARK_EVERY = timedelta(minutes=10)


def partition_of(key: str, partitions: int) -> int:
    """Where the records of a key are; the same in every process and release."""
    return crc32(key.encode(errors="surrogatepass")) % partitions


class EmbeddedStream(ReadableStream):
    """Open it in the loop that uses it, in one process at a time."""

    def __init__(
        self,
        path: Path,
        *,
        partitions: int = DEFAULT_PARTITIONS,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        """`path` is the file; senders are refused when it would pass `max_bytes`."""
        self._path = path
        self._partitions = partitions
        self.max_bytes = max_bytes
        self._file: LogFile | None = None
        self._writer: GroupWriter | None = None
        # What is committed, known in the loop; and who waits for more of it.
        self._ends: dict[int, int] = {}
        self._subscriptions: list[_EmbeddedSubscription] = []
        # One thread: it shares the file's one reading connection.
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="stream-reader")

    @property
    @override
    def name(self) -> str:
        return self._opened()[0].name

    @override
    async def open(self) -> None:
        """Make the file, or go on behind its last records. Raises ConfigError, TransientError."""
        self._file = await asyncio.to_thread(LogFile, self._path, self._partitions, self.max_bytes)
        self._ends = dict(self._file.ends())
        self._writer = GroupWriter("stream-writer", self._file.writer)

    @override
    async def close(self) -> None:
        """Commit what was asked for and close the file."""
        if self._writer is not None:
            await self._writer.close()
        await asyncio.to_thread(self._reading.shutdown)
        if self._file is not None:
            self._file.close()
        self._file = self._writer = None

    @override
    async def append(self, messages: Sequence[Message]) -> None:
        """As the port says; also raises PermanentError when a record is too large."""
        for index, message in enumerate(messages):
            size = len(message.key.encode(errors="surrogatepass")) + len(message.value)
            if size > MAX_RECORD_BYTES:
                raise PermanentError(
                    f"message {index} has {size} B and the limit is {MAX_RECORD_BYTES}: nothing "
                    "of this append was kept; send less"
                )
        file, writer = self._opened()
        if messages:
            placed = [(partition_of(each.key, file.partitions), each) for each in messages]
            await writer.execute(lambda: file.insert(placed), self._appended)

    @override
    def partition_of(self, key: str) -> int:
        return partition_of(key, self._partitions)

    @override
    def subscribe(
        self, positions: Positions, *, max_records: int
    ) -> AbstractAsyncContextManager[Subscription]:
        return self._joined(_EmbeddedSubscription(self, positions, max_records))

    @override
    async def end_offsets(self) -> Mapping[int, int]:
        self._opened()
        return dict(self._ends)

    @override
    async def first_offsets(self) -> Mapping[int, int]:
        file, _ = self._opened()
        read = asyncio.get_running_loop().run_in_executor
        return {p: await read(self._reading, file.first, p) for p in range(file.partitions)}

    @override
    async def check(self) -> None:
        file, writer = self._opened()
        await writer.execute(lambda: file.require_room(0))

    async def trim(self, before: Mapping[int, int]) -> int:
        """Remove the records of each partition below an offset; how many went."""
        file, writer = self._opened()
        removed = 0
        for partition, offset in before.items():
            gone = _TRIM_RECORDS
            while gone == _TRIM_RECORDS:
                gone = await writer.execute(partial(file.trim, partition, offset, _TRIM_RECORDS))
                removed += gone
        return removed

    async def sweep(self, decided: Mapping[int, int], now: datetime, keep: timedelta) -> int:
        """Remove old records that were decided on, those below these offsets; how many went.

        Those of before `now` - `keep` go, give or take some minutes; where the file is nearly
        full younger ones too, the oldest first. What isn't decided on stays, however old.
        """
        file, writer = self._opened()
        every_us = _MARK_EVERY // timedelta(microseconds=1)
        await writer.execute(lambda: file.mark(to_us(now), every_us))
        old = await writer.execute(lambda: file.reached(to_us(now - keep)))
        removed = await self.trim({p: min(old[p], decided.get(p, 0)) for p in old})
        if await writer.execute(file.fullness) < NEARLY_FULL:
            return removed
        while await writer.execute(file.fullness) > ROOMY:
            # From the longest, so that all partitions reach back about as far.
            left = {p: decided.get(p, 0) - file.starts[p] for p in old}
            partition = max(left, key=left.__getitem__)
            if left[partition] <= 0:
                break
            part = file.starts[partition] + min(left[partition], _TRIM_RECORDS)
            removed += await self.trim({partition: part})
        return removed

    def start(self, partition: int) -> int:
        """The offset of the first record that wasn't trimmed."""
        return self._opened()[0].starts[partition]

    def end(self, partition: int) -> int:
        """The offset after the last committed record."""
        return self._ends[partition]

    async def read(self, partition: int, offset: int, max_records: int) -> Sequence[Record]:
        """Committed records from `offset` on."""
        file, _ = self._opened()
        return await asyncio.get_running_loop().run_in_executor(
            self._reading, file.read, partition, offset, max_records
        )

    @override
    async def history(self, since: datetime | None) -> AsyncIterator[Kept]:
        """As the port says, but of an open file, which gives all: it knows no record's time."""
        for partition, offset in (await self.first_offsets()).items():
            first, end = offset, self.end(partition)
            while offset < end and (records := await self.read(partition, offset, _READ_RECORDS)):
                for each in records:
                    yield Kept(each, is_first=each.offset == first)
                offset = records[-1].offset + 1

    def _opened(self) -> tuple[LogFile, GroupWriter]:
        if self._file is None or self._writer is None:
            raise TransientError("the embedded stream is closed")
        return self._file, self._writer

    def _appended(self, ends: Mapping[int, int]) -> None:
        self._ends.update(ends)
        for subscription in self._subscriptions:
            subscription.wake()

    @asynccontextmanager
    async def _joined(self, subscription: "_EmbeddedSubscription") -> AsyncIterator[Subscription]:
        self._opened()
        self._subscriptions.append(subscription)
        self._share()
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
            self._share()

    def _share(self) -> None:
        members = len(self._subscriptions)
        for index, subscription in enumerate(self._subscriptions):
            subscription.assign(frozenset(range(index, len(self._ends), members)))


class _EmbeddedSubscription(Subscription):
    def __init__(self, stream: EmbeddedStream, positions: Positions, max_records: int) -> None:
        self._stream = stream
        self._positions = positions
        self._max_records = max_records
        self._assigned: frozenset[int] = frozenset()
        # Where each partition goes on that may be read.
        self._next: dict[int, int] = {}
        # Whether the store was asked about this share, and when it is asked again (the loop's
        # clock) about what may not be read.
        self._is_placed = False
        self._ask_at = 0.0
        self._news = asyncio.Event()

    def assign(self, partitions: frozenset[int]) -> None:
        """Its share from now on; what is new to it starts at the store's position."""
        self._assigned = partitions
        self._next = {p: offset for p, offset in self._next.items() if p in partitions}
        self._is_placed = False
        self.wake()

    def wake(self) -> None:
        """There are more records, or other partitions."""
        self._news.set()

    @property
    @override
    def assigned(self) -> frozenset[int]:
        return self._assigned

    @override
    async def batches(self) -> AsyncIterator[Batch]:
        while True:
            self._news.clear()
            await self._place()
            waiting = [
                (partition, offset)
                for partition, offset in self._next.items()
                if offset != self._stream.end(partition)
            ]
            for partition, offset in waiting:
                if (batch := await self._read(partition, offset)) is not None:
                    yield batch
            if not waiting:
                await self._wait()

    @override
    def end(self, partition: int) -> int:
        return self._stream.end(partition)

    @override
    async def ahead(self, partition: int, offset: int, max_records: int) -> Sequence[Record]:
        try:
            return await self._stream.read(partition, offset, max_records)
        except StoppedError:
            return ()  # the batches will say so

    @override
    async def rewind(self, partition: int, offset: int) -> None:
        if partition in self._assigned:
            self._next[partition] = offset
            self.wake()

    async def _place(self) -> None:
        unplaced = sorted(self._assigned - self._next.keys())
        now = asyncio.get_running_loop().time()
        if self._is_placed and (not unplaced or now < self._ask_at):
            return
        self._is_placed, self._ask_at = True, now + STOPPED_ASKS_S
        for partition, offset in (await self._positions(unplaced)).items():
            if partition in self._assigned:  # the shares may have changed meanwhile
                self._next[partition] = offset

    async def _wait(self) -> None:
        held = self._assigned - self._next.keys()
        try:
            async with asyncio.timeout(STOPPED_ASKS_S if held else None):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _read(self, partition: int, offset: int) -> Batch | None:
        """None when it was rewound or went to another member before its turn or meanwhile."""
        if self._next.get(partition) != offset:
            return None
        try:
            records = await self._stream.read(partition, offset, self._max_records)
        except StoppedError:
            self._next.pop(partition, None)
            raise
        if self._next.get(partition) != offset or not records:
            return None
        batch = Batch(partition, records)
        self._next[partition] = batch.next_offset
        return batch
