"""The durable, partitioned, ordered log between intake and pipeline."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import Struct

# How often a subscription looks whether partitions that are held still may go on.
STOPPED_ASKS_S = 2.0


class Message(Struct, frozen=True, gc=False):
    """What is appended: `key` decides the partition, `value` is a CloudEvent in JSON."""

    key: str
    value: bytes


class Record(Struct, frozen=True, gc=False):
    """A message in its place; offsets rise by position in a partition, gaps are possible."""

    partition: int
    offset: int
    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """A record of the past; `is_first`: its partition keeps nothing from before it."""

    record: Record
    is_first: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records of one partition, in order; never empty."""

    partition: int
    records: Sequence[Record]

    @property
    def next_offset(self) -> int:
        """The position after this batch."""
        return self.records[-1].offset + 1


class Positions(Protocol):
    """Where each partition goes on: kept by the store, beside the state that the records made."""

    async def __call__(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """The next offset of each partition; 0 where nothing was processed yet.

        A partition that isn't in the answer must not be read. Called with all partitions of the
        share that aren't read: when the share changes, and every STOPPED_ASKS_S while some are
        held still.
        """
        ...


class Subscription(Protocol):
    """One consumer's view; several share the partitions between them."""

    @property
    def assigned(self) -> frozenset[int]:
        """The partitions that are this consumer's now."""
        ...

    def batches(self) -> AsyncIterator[Batch]:
        """Batches of assigned partitions as they come, from the store's positions on.

        The caller commits its position to the store before it asks for the next batch. After a
        batch whose commit failed, `rewind` reads it again. Raises StoppedError for partitions
        that can't be read on: they are held still, until `positions` has another offset for them,
        and asking for batches again goes on with the others.
        """
        ...

    def end(self, partition: int) -> int:
        """The offset after the last record that this member has heard of; asks nobody."""
        ...

    async def ahead(self, partition: int, offset: int, max_records: int) -> Sequence[Record]:
        """Records from `offset` on; `batches` goes on as if nobody had looked.

        Only what is at hand: none, or fewer, where they would have to be waited for, or are gone.
        """
        ...

    async def rewind(self, partition: int, offset: int) -> None:
        """Go on at `offset`, also where it had stopped; nothing when it is no longer assigned."""
        ...


class Appendable(Protocol):
    """Where records go; `append` returns only after they are durable."""

    async def append(self, messages: Sequence[Message]) -> None:
        """Append all, durably, in order per key.

        Raises TransientError when that can't be had now; some may then have been appended.
        """
        ...


class Stream(Appendable, Protocol):
    """A stream connector."""

    @property
    def name(self) -> str:
        """The log's, as engine.core.positions says: `embedded@<id>`, `kafka/<topic>@<id>`.

        It is part of the positions' key. Another log may take its place while the stream is open;
        then a subscription ends with a TransientError, and the next one is about the new log.
        """
        ...

    def partition_of(self, key: str) -> int:
        """Where the records of a key are."""
        ...

    def subscribe(
        self, positions: Positions, *, max_records: int
    ) -> AbstractAsyncContextManager[Subscription]:
        """Join the consumers; leaving the context gives the partitions back."""
        ...

    async def end_offsets(self) -> Mapping[int, int]:
        """The offset after the last record of each partition, for the balance and the lag."""
        ...

    async def check(self) -> None:
        """Raise TransientError when the stream can't take records now."""
        ...


class Sweepable(Stream, Protocol):
    """A stream whose records quell itself removes once they are old."""

    async def sweep(self, decided: Mapping[int, int], now: datetime, keep: timedelta) -> int:
        """Remove records below these offsets that are older than `keep`; how many went.

        Younger ones go too where there is little room; what isn't decided on never does.
        """
        ...


class KeptStream(Stream, Protocol):
    """A stream that tells what it still holds."""

    async def first_offsets(self) -> Mapping[int, int]:
        """The offset of each partition's first record; of the next one where there is none."""
        ...


class OpenableStream(KeptStream, Protocol):
    """A stream that is opened and closed with the engine."""

    async def open(self) -> None:
        """Connect; called once, in the loop that uses it.

        Raises TransientError when nobody answers, ConfigError when it can't work as configured.
        """
        ...

    async def close(self) -> None:
        """Give everything back."""
        ...


class ReadableStream(OpenableStream, Protocol):
    """A stream whose past can be read."""

    def history(self, since: datetime | None) -> AsyncIterator[Kept]:
        """What is kept now, one partition after the other: what came from `since` on, or all.

        Some older records may be among it. Nobody's position moves, and the stream needn't be open
        where it is outside of this machine. Raises TransientError when it can't be reached.
        """
        ...
