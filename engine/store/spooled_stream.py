"""A stream that goes on taking records while its brokers are away: they wait on disk, in order.

Once something waits, everything after it waits too, so that no record overtakes an older one of
its key. A record leaves the disk only after the stream has it: a crash in between appends it
twice, which the pipeline sees as a repeat.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

import structlog
from typing_extensions import override

from engine.errors import PermanentError, TransientError
from engine.ports.clock import Clock
from engine.ports.stream import KeptStream, Message, OpenableStream, Positions, Subscription
from engine.store.embedded_stream import EmbeddedStream

log = structlog.get_logger(__name__)

# One append to the stream; small enough that what waits for the last one waits for moments.
MOVED_AT_ONCE = 500
RETRY_S = 1.0
# An append whose caller was cancelled may be committed without a word.
SAFETY_NET_S = 5.0

# A message that the stream will never take, and why; returns once it is kept elsewhere.
Refuse = Callable[[Message, PermanentError], Awaitable[None]]


class SpooledStream(KeptStream):
    """`primary`, with `spool` in front of it while that is away. `run` has to run beside it.

    The spool is a log of one partition: its order is the order of the appends.
    """

    def __init__(
        self, primary: OpenableStream, spool: EmbeddedStream, clock: Clock, refuse: Refuse
    ) -> None:
        self._primary = primary
        self._spool = spool
        self._clock = clock
        self._refuse = refuse
        # Why the stream is taken to be away; "" while it works.
        self._away = ""
        # The spool's first record that the stream hasn't got.
        self._next = 0
        # Shut while the last records are moved, so that the spool becomes empty under load too.
        self._gate = asyncio.Event()
        self._gate.set()
        # Appends to the spool that were let in before and are under way.
        self._writing = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._news = asyncio.Event()
        self._ends: Mapping[int, int] = {}

    @property
    @override
    def name(self) -> str:
        """The stream's own: positions count its records, the spool's have none."""
        return self._primary.name

    @property
    def away(self) -> str:
        """Why the stream is taken to be away, "" while it works."""
        return self._away

    def spooled(self) -> int:
        """How many records wait on disk."""
        return self._spool.end(0) - self._next

    async def open(self) -> None:
        """Open both; a stream that is away is not waited for.

        Raises ConfigError where one of them can't work.
        """
        await self._spool.open()
        self._next = self._spool.start(0)
        try:
            await self._primary.open()
        except TransientError as error:
            self._miss(error)
        self._news.set()

    async def close(self) -> None:
        """Close both; what is spooled stays on disk for the next start."""
        await self._primary.close()
        await self._spool.close()

    @override
    async def append(self, messages: Sequence[Message]) -> None:
        """As the port says; where the stream is away, durable means: on this machine's disk.

        Raises TransientError when the spool is full, too.
        """
        await self._gate.wait()
        if not self._away and not self.spooled():
            try:
                await self._primary.append(messages)
            except TransientError as error:
                self._miss(error)
            else:
                return
        self._writing += 1
        self._quiet.clear()
        try:
            await self._spool.append(messages)
        finally:
            self._writing -= 1
            if not self._writing:
                self._quiet.set()
            self._news.set()

    @override
    def partition_of(self, key: str) -> int:
        return self._primary.partition_of(key)

    @override
    def subscribe(
        self, positions: Positions, *, max_records: int
    ) -> AbstractAsyncContextManager[Subscription]:
        return self._primary.subscribe(positions, max_records=max_records)

    @override
    async def end_offsets(self) -> Mapping[int, int]:
        """As the port says; while the stream is away, as it was seen last."""
        if self._away and self._ends:
            return self._ends
        self._ends = await self._primary.end_offsets()
        return self._ends

    @override
    async def first_offsets(self) -> Mapping[int, int]:
        return await self._primary.first_offsets()

    @override
    async def check(self) -> None:
        """Raise TransientError when the stream is away, although the spool still takes records."""
        reason = self._away
        if not reason:
            try:
                await self._primary.check()
            except TransientError as error:
                reason = str(error)
        if reason:
            raise TransientError(
                f"{reason}. Alerts are kept on this machine's disk meanwhile ({self.spooled()} "
                "records wait) and processed when it is back"
            )

    async def check_keeping(self) -> None:
        """Raise TransientError when a record could be kept neither by the stream nor on disk."""
        try:
            await self.check()
        except TransientError as away:
            try:
                await self._spool.check()
            except TransientError as full:
                raise TransientError(f"{self.away}, and the spool: {full}") from away

    async def run(self) -> None:
        """Move what waits to the stream whenever that works, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(SAFETY_NET_S):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            try:
                await self._drain()
            except TransientError as error:
                self._miss(error)
                await self._clock.sleep(RETRY_S)

    async def _drain(self) -> None:
        """Until nothing waits and appends go to the stream again. Raises TransientError."""
        if not self._away and not self.spooled():
            return
        await self._primary.check()
        waited = self.spooled()
        await self._move()
        while self.spooled() > MOVED_AT_ONCE:
            await self._move()
        self._gate.clear()
        try:
            await self._quiet.wait()
            while self.spooled():
                await self._move()
            self._away = ""
        finally:
            self._gate.set()
        log.info("spool_drained", stream=self.name, waited=waited)

    async def _move(self) -> None:
        """The oldest records, from the spool to the stream."""
        records = await self._spool.read(0, self._next, MOVED_AT_ONCE)
        if not records:
            return
        messages = [Message(each.key, each.value) for each in records]
        try:
            await self._primary.append(messages)
        except PermanentError:
            for message in messages:
                await self._move_alone(message)
        end = records[-1].offset + 1
        await self._spool.trim({0: end})
        self._next = end

    async def _move_alone(self, message: Message) -> None:
        """One that the stream will never take must not keep those behind it waiting."""
        try:
            await self._primary.append([message])
        except PermanentError as error:
            await self._refuse(message, error)

    def _miss(self, error: TransientError) -> None:
        if not self._away:
            log.warning("spooling", stream=self._primary.name, error=str(error))
        self._away = str(error)
        self._news.set()
