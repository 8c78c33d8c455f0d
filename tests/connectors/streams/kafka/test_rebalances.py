"""Partitions change hands while records are decided on: each is decided on exactly once."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import uuid4

import pytest
from typing_extensions import override

from connectors.streams.kafka import KafkaConfig, KafkaStream
from engine.app import SystemClock
from engine.core.records import encode_alert
from engine.pipeline import Pipeline
from engine.ports.metrics import Metrics
from engine.ports.store import Store, Tx
from engine.ports.stream import Message
from tests.doubles.world import World
from tests.services.kafka import KafkaBroker

T = TypeVar("T")

DEADLINE_S = 120.0
PARTITIONS = 4
SERVICES = 40


@dataclass
class SlowStore(Store):
    """While `held`, a decision waits right before its transaction."""

    store: Store
    held: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)

    @override
    async def write(self, work: Callable[[Tx], T]) -> T:
        self.waiting.set()
        await self.held.wait()
        return await self.store.write(work)

    @override
    async def read(self, work: Callable[[Tx], T]) -> T:
        return await self.store.read(work)

    @override
    async def wait_for_work(self, timeout_s: float) -> None:
        await self.store.wait_for_work(timeout_s)


@dataclass
class Group:
    """A topic of its own, and the members that decide on it over one store."""

    world: World
    config: KafkaConfig
    sent: int = 0

    @asynccontextmanager
    async def member(
        self, store: Store | None = None, max_poll_interval_s: float = 300.0
    ) -> AsyncIterator[Pipeline]:
        """A pipeline at work, with clients of its own as in a process of its own."""
        changes = {"max_poll_interval_s": max_poll_interval_s}
        stream = KafkaStream(self.config.model_copy(update=changes))
        pipeline = Pipeline(
            store or self.world.store, stream, SystemClock(), self.world.catalogs, Metrics()
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(pipeline.run())
            try:
                yield pipeline
            finally:
                task.cancel()
        await stream.close()

    async def send(self, stream: KafkaStream, count: int) -> None:
        """So many different alerts, over all partitions."""
        messages = []
        for number in range(self.sent, self.sent + count):
            labels = {"service": f"service-{number % SERVICES}", "number": str(number)}
            alert = self.world.alert("FanNoisy", labels)
            messages.append(Message(alert.partition_key, encode_alert(alert)))
        await stream.append(messages)
        self.sent += count

    async def counters(self) -> dict[str, int]:
        return dict(await self.world.store.read(lambda tx: tx.counters()))

    async def all_decided(self) -> dict[str, int]:
        """What became of the records, once all that were sent are decided on."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                found = await self.counters()
                records = sum(n for name, n in found.items() if name.startswith("records/"))
                if records >= self.sent:
                    break
                await asyncio.sleep(0.05)
        return {
            name.removeprefix("disposition/"): n
            for name, n in found.items()
            if name.startswith("disposition/")
        }

    async def check(self) -> None:
        """Each record was decided on once, and each alert is in its service's incident once."""
        assert await self.all_decided() == {"unmatched": self.sent}
        occurrences = {each.service: each.occurrences for each in await self.world.incidents()}
        assert sum(occurrences.values()) == self.sent
        positions = await self.world.store.read(lambda tx: tx.positions(self.log))
        assert sum(next(iter(logs.values())) for logs in positions.values()) == self.sent

    @property
    def log(self) -> str:
        return f"kafka/{self.config.topic}"


@pytest.fixture
async def group(kafka: KafkaBroker, world: World) -> Group:
    unique = f"rebalance-{uuid4().hex}"
    config = KafkaConfig(
        bootstrap_servers=(kafka.bootstrap,),
        topic_prefix=f"{unique}.",
        group_id=unique,
        partitions=PARTITIONS,
        replication_factor=1,
        session_timeout_s=6,
    )
    return Group(world, config)


@asynccontextmanager
async def writer(group: Group) -> AsyncIterator[KafkaStream]:
    stream = KafkaStream(group.config)
    await stream.open()
    yield stream
    await stream.close()


async def test_a_batch_whose_partition_went_away_meanwhile_cannot_be_committed(
    group: Group,
) -> None:
    slow = SlowStore(group.world.store)
    async with (
        asyncio.timeout(DEADLINE_S),
        writer(group) as stream,
        group.member(slow, max_poll_interval_s=1.0),
    ):
        await group.send(stream, 200)
        await slow.waiting.wait()  # a batch is in its hands
        async with group.member():
            await group.check()
            slow.held.set()  # it goes on with what is no longer its own
            await until_logged(group.world, "batch_again")
            await group.send(stream, 200)
            await group.check()


async def until_logged(world: World, event: str) -> None:
    while event not in [each["event"] for each in world.logs]:
        await asyncio.sleep(0.05)


async def test_members_that_come_and_go_decide_on_each_record_once(group: Group) -> None:
    choose = random.Random(7)
    joins = 0

    async def come_and_go() -> None:
        nonlocal joins
        for _ in range(6):
            joins += 1
            async with group.member():
                await asyncio.sleep(choose.uniform(0.2, 1.5))
            await asyncio.sleep(choose.uniform(0.0, 0.5))

    async def keep_sending(stream: KafkaStream) -> None:
        while not all_left.is_set():
            await group.send(stream, 20)
            await asyncio.sleep(0.02)

    all_left = asyncio.Event()
    async with (
        asyncio.timeout(DEADLINE_S),
        writer(group) as stream,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(keep_sending(stream))
        async with asyncio.TaskGroup() as members:
            for _ in range(3):
                members.create_task(come_and_go())
        all_left.set()
    assert joins == 18
    assert await decided_so_far(group) > 0, "they worked while they came and went"
    async with group.member():
        await group.check()


async def decided_so_far(group: Group) -> int:
    found = await group.counters()
    return sum(n for name, n in found.items() if name.startswith("records/"))
