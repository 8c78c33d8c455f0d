"""Nothing is lost and nothing of a key is overtaken while the stream comes and goes."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typing_extensions import override

from engine.errors import PermanentError, TransientError
from engine.ports.clock import Clock
from engine.ports.stream import Message, OpenableStream, Positions, Subscription
from engine.store.embedded_stream import EmbeddedStream
from engine.store.spooled_stream import MOVED_AT_ONCE, RETRY_S, SpooledStream
from tests.doubles.virtual_time import VirtualClock, until


@dataclass
class Brokers(OpenableStream):
    """A stream in memory. While `away` it takes nothing; `fails` may end any append with a fault.

    An append waits while `held`, and is counted in `waiting`.
    """

    away: bool = False
    taken: list[Message] = field(default_factory=list)
    fails: Callable[[], Exception | None] = lambda: None
    refused: bytes = b"none"
    held: bool = False
    waiting: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)
    before: Callable[[], Awaitable[None]] | None = None

    @property
    @override
    def name(self) -> str:
        return "kafka/alerts"

    def _answer(self) -> None:
        if self.away:
            raise TransientError("no broker answers")

    @override
    async def open(self) -> None:
        self._answer()

    @override
    async def close(self) -> None:
        pass

    @override
    async def check(self) -> None:
        self._answer()

    @override
    def partition_of(self, key: str) -> int:
        return 0

    @override
    async def end_offsets(self) -> Mapping[int, int]:
        self._answer()
        return {0: len(self.taken)}

    @override
    async def first_offsets(self) -> Mapping[int, int]:
        self._answer()
        return {0: 0}

    @override
    async def append(self, messages: Sequence[Message]) -> None:
        if self.held:
            self.waiting += 1
            await self.release.wait()
            self.waiting -= 1
        if self.before is not None:
            await self.before()
        await asyncio.sleep(0)
        self._answer()
        for message in messages:
            if message.value == self.refused:
                raise PermanentError("larger than the topic's limit")
        self.taken.extend(messages)
        if (fault := self.fails()) is not None:
            raise fault

    @override
    def subscribe(
        self, positions: Positions, *, max_records: int
    ) -> AbstractAsyncContextManager[Subscription]:
        raise NotImplementedError

    def values(self, key: str = "k") -> list[int]:
        """What was taken of a key, without what came a second time."""
        of_key = [int(each.value) for each in self.taken if each.key == key]
        return list(dict.fromkeys(of_key))


@dataclass
class Refusals:
    """Where records go that the stream will never take."""

    kept: list[tuple[bytes, str]] = field(default_factory=list)

    async def keep(self, message: Message, error: PermanentError) -> None:
        self.kept.append((message.value, str(error)))


@asynccontextmanager
async def opened(
    folder: Path,
    brokers: Brokers,
    clock: Clock | None = None,
    refusals: Refusals | None = None,
    max_bytes: int = 2**24,
) -> AsyncIterator[SpooledStream]:
    spool = EmbeddedStream(folder / "spool.db", partitions=1, max_bytes=max_bytes)
    refuse = (refusals or Refusals()).keep
    stream = SpooledStream(brokers, spool, clock or VirtualClock(), refuse)
    await stream.open()
    try:
        yield stream
    finally:
        await stream.close()


@asynccontextmanager
async def draining(stream: SpooledStream) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(stream.run())
        try:
            yield
        finally:
            task.cancel()


def numbered(*numbers: int, key: str = "k") -> list[Message]:
    return [Message(key, str(number).encode()) for number in numbers]


async def test_a_stream_that_works_gets_everything_at_once(tmp_path: Path) -> None:
    brokers = Brokers()
    async with opened(tmp_path, brokers) as stream:
        await stream.append(numbered(1, 2))
        assert (brokers.values(), stream.spooled()) == ([1, 2], 0)
        await stream.check()
        assert stream.name == "kafka/alerts"


@pytest.mark.parametrize("when", ["at the start", "later"])
async def test_while_it_is_away_appends_are_durable_on_disk(tmp_path: Path, when: str) -> None:
    brokers = Brokers(away=when == "at the start")
    async with opened(tmp_path, brokers) as stream:
        brokers.away = True
        await stream.append(numbered(1))
        await stream.append(numbered(2, 3))
        assert stream.spooled() == 3
        with pytest.raises(TransientError, match=r"no broker answers\. Alerts are kept .*3 rec"):
            await stream.check()
    assert brokers.taken == []


async def test_what_was_spooled_outlives_the_process_and_comes_first(tmp_path: Path) -> None:
    brokers = Brokers(away=True)
    async with opened(tmp_path, brokers) as stream:
        await stream.append(numbered(1, 2))
    brokers.away = False
    async with opened(tmp_path, brokers) as stream:
        assert stream.spooled() == 2
        await stream.append(numbered(3))
        assert brokers.taken == []
        async with draining(stream):
            await until(lambda: stream.spooled() == 0)
        await stream.append(numbered(4))
    assert brokers.values() == [1, 2, 3, 4]


async def test_it_tries_again_until_the_stream_is_back(tmp_path: Path) -> None:
    brokers, clock = Brokers(away=True), VirtualClock()
    async with opened(tmp_path, brokers, clock) as stream, draining(stream):
        await stream.append(numbered(*range(3 * MOVED_AT_ONCE)))
        for _ in range(3):
            await until(lambda: clock.sleeping == 1)
            clock.advance(RETRY_S)
        await until(lambda: clock.sleeping == 1)
        assert brokers.taken == []
        brokers.away = False
        clock.advance(RETRY_S)
        await until(lambda: stream.spooled() == 0)
        await stream.check()
        assert brokers.values() == list(range(3 * MOVED_AT_ONCE))
        assert len(brokers.taken) == 3 * MOVED_AT_ONCE


async def test_a_stream_that_was_away_for_nothing_is_used_again(tmp_path: Path) -> None:
    brokers, clock = Brokers(away=True), VirtualClock()
    async with opened(tmp_path, brokers, clock) as stream, draining(stream):
        await until(lambda: clock.sleeping == 1)
        brokers.away = False
        clock.advance(RETRY_S)
        await until(lambda: clock.sleeping == 0)
        while True:
            try:
                await stream.check()
                break
            except TransientError:
                await asyncio.sleep(0)
        await stream.append(numbered(1))
        assert (brokers.values(), stream.spooled()) == ([1], 0)


async def test_an_append_during_the_last_step_stays_behind_what_is_moved(tmp_path: Path) -> None:
    brokers = Brokers(away=True)
    async with opened(tmp_path, brokers) as stream:
        await stream.append(numbered(1))
        brokers.away, brokers.held = False, True
        async with draining(stream), asyncio.TaskGroup() as group:
            await until(lambda: brokers.waiting == 1)
            later = group.create_task(stream.append(numbered(2)))
            for _ in range(20):
                await asyncio.sleep(0)
            assert (brokers.waiting, brokers.taken) == (1, [])
            brokers.held = False
            brokers.release.set()
            await later
            await until(lambda: stream.spooled() == 0)
    assert brokers.values() == [1, 2]


async def test_an_answer_that_was_lost_while_draining_loses_nothing(tmp_path: Path) -> None:
    brokers = Brokers(away=True)
    async with opened(tmp_path, brokers) as stream:
        await stream.append(numbered(1, 2))
        brokers.away = False
        brokers.fails = lambda: TransientError("no acknowledgement in time")
        async with draining(stream):
            await until(lambda: len(brokers.taken) == 2)
        assert stream.spooled() == 2
    brokers.fails = lambda: None
    async with opened(tmp_path, brokers) as stream, draining(stream):
        await until(lambda: stream.spooled() == 0)
    assert [int(each.value) for each in brokers.taken] == [1, 2, 1, 2]


async def test_a_full_spool_refuses_and_takes_again_once_it_was_drained(tmp_path: Path) -> None:
    brokers, large = Brokers(away=True), Message("k", b"7" * 50_000)
    async with opened(tmp_path, brokers, max_bytes=200_000) as stream:
        with pytest.raises(TransientError, match="full"):
            for _ in range(10):
                await stream.append([large])
        kept = stream.spooled()
        assert 0 < kept < 10
        brokers.away = False
        async with draining(stream):
            await until(lambda: stream.spooled() == 0)
        assert len(brokers.taken) == kept
        brokers.away = True
        await stream.append([large])


async def test_a_record_that_the_stream_never_takes_is_kept_elsewhere(tmp_path: Path) -> None:
    brokers, refusals = Brokers(away=True, refused=b"2"), Refusals()
    async with opened(tmp_path, brokers, refusals=refusals) as stream:
        await stream.append(numbered(1, 2, 3))
        brokers.away = False
        async with draining(stream):
            await until(lambda: stream.spooled() == 0)
        with pytest.raises(PermanentError):
            await stream.append(numbered(2))
    assert brokers.values() == [1, 3]
    assert refusals.kept == [(b"2", "larger than the topic's limit")]


async def test_the_ends_are_those_seen_last_while_it_is_away(tmp_path: Path) -> None:
    brokers = Brokers(away=True)
    async with opened(tmp_path, brokers) as stream:
        with pytest.raises(TransientError):
            await stream.end_offsets()
        brokers.away = False
        async with draining(stream):
            await stream.append(numbered(1))
            await until(lambda: stream.spooled() == 0)
        assert await stream.end_offsets() == {0: 1}
        brokers.away = True
        await stream.append(numbered(2))
        assert await stream.end_offsets() == {0: 1}


async def test_under_load_it_goes_back_to_the_stream_too(tmp_path: Path) -> None:
    brokers = Brokers(away=True)

    async def wait_for_more() -> None:
        """A move takes so long that the senders spool more meanwhile, if they are let."""
        before = stream.spooled()
        for _ in range(3000):
            if stream.spooled() > before:
                return
            await asyncio.sleep(0)

    async def send(key: str) -> None:
        number = 0
        while not returned.is_set():
            await stream.append(numbered(number, key=key))
            number += 1
            if stream.spooled() == 0:
                returned.set()

    returned = asyncio.Event()
    async with opened(tmp_path, brokers) as stream:
        await stream.append(numbered(0))
        brokers.away, brokers.before = False, wait_for_more
        async with draining(stream), asyncio.timeout(20), asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(send(f"key-{number}"))
        assert returned.is_set()


class ImpatientClock(VirtualClock):
    """Nobody waits."""

    @override
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(6))
async def test_no_record_is_lost_or_overtaken_by_a_later_one_of_its_key(
    tmp_path: Path, seed: int
) -> None:
    chance, brokers = random.Random(seed), Brokers()

    def fails() -> Exception | None:
        lost = chance.random() < 0.1
        return TransientError("no acknowledgement in time") if lost else None

    async def send(key: str) -> None:
        for number in range(60):
            await stream.append(numbered(number, key=key))

    async def flap() -> None:
        while True:
            brokers.away = chance.random() < 0.5
            for _ in range(chance.randrange(1, 200)):
                await asyncio.sleep(0)

    brokers.fails = fails
    async with (
        opened(tmp_path, brokers, ImpatientClock()) as stream,
        asyncio.timeout(30),
        draining(stream),
        asyncio.TaskGroup() as group,
    ):
        flapping = group.create_task(flap())
        async with asyncio.TaskGroup() as senders:
            for number in range(8):
                senders.create_task(send(f"key-{number}"))
        flapping.cancel()
        brokers.away = False
        brokers.fails = lambda: None
        await until(lambda: stream.spooled() == 0)
    for number in range(8):
        assert brokers.values(f"key-{number}") == list(range(60))
