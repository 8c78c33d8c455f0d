"""Looking at records far behind on a real broker: beside the group, and never in its way."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

from connectors.streams.kafka.ahead import KafkaAhead
from connectors.streams.kafka.cluster import Cluster, KafkaConfig
from connectors.streams.kafka.topics import Topic
from connectors.streams.kafka.writer import TopicWriter
from engine.ports.stream import Message, Record
from tests.services.kafka import KafkaBroker

DEADLINE_S = 30.0


@asynccontextmanager
async def filled(kafka: KafkaBroker, count: int) -> AsyncIterator[KafkaAhead]:
    """A look at a topic of one partition with so many numbered records."""
    config = KafkaConfig(bootstrap_servers=(kafka.bootstrap,), replication_factor=1, deadline_s=20)
    topic = Topic(f"ahead-{uuid4().hex}", 1, 1_048_000)
    writer, ahead = TopicWriter(Cluster(config), topic), KafkaAhead(Cluster(config), topic)
    await writer.append([Message("key", str(n).encode()) for n in range(count)])
    await writer.close()
    try:
        yield ahead
    finally:
        await ahead.close()


async def seen(ahead: KafkaAhead, offset: int, count: int) -> list[int]:
    found: list[Record] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(found) < count:
            found += await ahead.read(0, offset + len(found), count - len(found))
            await asyncio.sleep(0)
    return [int(each.value) for each in found]


async def test_what_it_was_not_asked_for_is_not_fetched(kafka: KafkaBroker) -> None:
    async with filled(kafka, 20) as ahead:
        assert await seen(ahead, 5, 10) == list(range(5, 15))
        assert await seen(ahead, 2, 3) == [2, 3, 4], "back, as after another replica had it"
        assert await seen(ahead, 5, 15) == list(range(5, 20))


async def test_offsets_that_are_gone_are_nothing_and_the_next_look_works(
    kafka: KafkaBroker,
) -> None:
    async with filled(kafka, 20) as ahead:
        looks: list[Sequence[Record]] = []
        async with asyncio.timeout(DEADLINE_S):
            for _ in range(50):
                looks.append(await ahead.read(0, 700, 10))
                await asyncio.sleep(0.01)
        assert not any(looks)
        assert await seen(ahead, 0, 20) == list(range(20))


async def test_it_is_closed_unused_and_twice(kafka: KafkaBroker) -> None:
    async with filled(kafka, 1) as ahead:
        await ahead.close()
        await ahead.close()
