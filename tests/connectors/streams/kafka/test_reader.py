"""Looking at a topic without being a member of any group."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from connectors.streams.kafka.cluster import Cluster, KafkaConfig
from connectors.streams.kafka.reader import TopicReader
from connectors.streams.kafka.topics import Topic
from connectors.streams.kafka.writer import TopicWriter
from engine.errors import TransientError
from engine.ports.stream import Message
from tests.services.kafka import KafkaBroker
from tests.services.relay import running_relayed_kafka


@asynccontextmanager
async def filled(
    kafka: KafkaBroker, count: int, partitions: int = 1
) -> AsyncIterator[tuple[TopicReader, Topic]]:
    """A topic with so many numbered records of one key."""
    config = KafkaConfig(bootstrap_servers=(kafka.bootstrap,), replication_factor=1, deadline_s=5)
    topic = Topic(f"reader-{uuid4().hex}", partitions, 1_048_000)
    writer, reader = TopicWriter(Cluster(config), topic), TopicReader(Cluster(config), topic)
    await writer.append([Message("key", str(n).encode()) for n in range(count)])
    await writer.close()
    try:
        yield reader, topic
    finally:
        await reader.close()


async def test_a_look_tells_the_topics_id_and_where_its_records_are(kafka: KafkaBroker) -> None:
    async with filled(kafka, 7, partitions=3) as (reader, _):
        seen = await reader.look()
    assert len(seen.topic.id) == 22
    assert seen.first == {0: 0, 1: 0, 2: 0}
    assert sorted(seen.end.values()) == [0, 0, 7]


@pytest.mark.parametrize(("begin", "end"), [(0, 5), (3, 5), (1, 4), (4, 4)])
async def test_values_are_those_between_two_offsets(
    kafka: KafkaBroker, begin: int, end: int
) -> None:
    async with filled(kafka, 5) as (reader, _):
        found = await reader.values(0, begin, end)
        assert found == [str(n).encode() for n in range(begin, end)]
        assert await reader.values(0, 0, 1) == [b"0"], "again, from elsewhere"


async def test_values_that_are_not_there_are_transient_and_end_in_time(kafka: KafkaBroker) -> None:
    async with asyncio.timeout(30), filled(kafka, 2) as (reader, _):
        with pytest.raises(TransientError):
            await reader.values(0, 0, 3)
        assert await reader.values(0, 0, 2) == [b"0", b"1"]


async def test_a_topic_that_is_gone_is_transient(kafka: KafkaBroker) -> None:
    async with filled(kafka, 1) as (reader, topic):
        await reader.look()
        await kafka.delete_topic(topic.name)
        with pytest.raises(TransientError):
            await reader.look()


async def test_who_is_not_answered_connects_anew(tmp_path: Path) -> None:
    with running_relayed_kafka(tmp_path) as (_, relay):
        config = KafkaConfig(
            bootstrap_servers=(f"127.0.0.1:{relay.port}",), replication_factor=1, deadline_s=2
        )
        reader = TopicReader(Cluster(config), Topic("relayed", 1, 1_048_000))
        async with asyncio.timeout(60):
            before = await reader.look()
            relay.cut()
            for _ in range(2):
                with pytest.raises(TransientError, match="not done within 2 s"):
                    await reader.look()
            relay.mend_for_new()
            assert await reader.look() == before
            await reader.close()
