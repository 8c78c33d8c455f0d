"""Appends to one topic; test_stream.py has what they promise while brokers come and go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.partitioner import DefaultPartitioner

from connectors.streams.kafka.cluster import Cluster, KafkaConfig
from connectors.streams.kafka.reader import TopicReader
from connectors.streams.kafka.topics import Topic
from connectors.streams.kafka.writer import TopicWriter
from engine.errors import PermanentError, TransientError
from engine.ports.stream import Message
from tests.services.kafka import KafkaBroker
from tests.services.process import free_port
from tests.services.relay import running_relayed_kafka

KEYS = ["", "gpu-07", "llm-70b", "größe-模型-🚨", "x" * 300]


class Bench:
    """A topic of its own, written to and looked at."""

    def __init__(self, kafka: KafkaBroker, partitions: int, *, is_fixed: bool) -> None:
        self.topic = Topic(f"writer-{uuid4().hex}", partitions, 1_048_000, is_fixed=is_fixed)
        config = KafkaConfig(bootstrap_servers=(kafka.bootstrap,), replication_factor=1)
        self.writer = TopicWriter(Cluster(config), self.topic)
        self.reader = TopicReader(Cluster(config), self.topic)

    async def ends(self) -> dict[int, int]:
        """Of the partitions that hold something."""
        return {p: end for p, end in (await self.reader.look()).end.items() if end}


@asynccontextmanager
async def a_bench(
    kafka: KafkaBroker, partitions: int = 3, *, is_fixed: bool = True
) -> AsyncIterator[Bench]:
    bench = Bench(kafka, partitions, is_fixed=is_fixed)
    try:
        yield bench
    finally:
        await bench.writer.close()
        await bench.reader.close()


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("is_fixed", [True, False])
async def test_a_key_goes_where_every_kafka_client_puts_it(
    kafka: KafkaBroker, key: str, is_fixed: bool
) -> None:
    async with a_bench(kafka, 7, is_fixed=is_fixed) as bench:
        await bench.writer.append([Message(key, b"value")])
        (partition,) = await bench.ends()
    assert partition == DefaultPartitioner()(key.encode(), list(range(7)), [])


async def test_a_limit_of_the_topic_is_permanent_and_spoils_no_later_append(
    kafka: KafkaBroker,
) -> None:
    async with a_bench(kafka) as bench:
        await kafka.create_topic(bench.topic.name, 3, {"max.message.bytes": "2000"})
        await bench.writer.append([Message("key", b"1")])
        with pytest.raises(PermanentError, match=r"max\.message\.bytes"):
            await bench.writer.append([Message("key", bytes(5000))])
        for _ in range(3):
            await bench.writer.append([Message("key", b"2")])
        assert sum((await bench.ends()).values()) == 4


async def test_a_cancelled_append_leaves_the_writer_usable(kafka: KafkaBroker) -> None:
    async with a_bench(kafka) as bench:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await bench.writer.append([Message(key, b"value") for key in KEYS * 50])
        await bench.writer.append([Message("key", b"value")])
        await bench.writer.check()


async def test_a_topic_with_more_partitions_than_it_would_be_made_with_is_used_whole(
    kafka: KafkaBroker,
) -> None:
    async with a_bench(kafka, 1, is_fixed=False) as bench:
        await kafka.create_topic(bench.topic.name, 4)
        await bench.writer.append([Message(f"key-{n}", b"value") for n in range(20)])
        assert sum((await bench.ends()).values()) < 20, "partition 0, which is all it looks at"


async def test_nobody_who_answers_is_transient() -> None:
    config = KafkaConfig(bootstrap_servers=(f"127.0.0.1:{free_port()}",))
    writer = TopicWriter(Cluster(config), Topic("any", 1, 1000))
    with pytest.raises(TransientError, match="append on Kafka"):
        await writer.append([Message("key", b"value")])


async def test_who_is_not_answered_connects_anew(tmp_path: Path) -> None:
    with running_relayed_kafka(tmp_path) as (_, relay):
        config = KafkaConfig(
            bootstrap_servers=(f"127.0.0.1:{relay.port}",), replication_factor=1, deadline_s=2
        )
        writer = TopicWriter(Cluster(config), Topic("relayed", 1, 1_048_000))
        async with asyncio.timeout(60):
            await writer.check()
            relay.cut()
            for _ in range(2):
                with pytest.raises(TransientError):
                    await writer.check()
            relay.mend_for_new()
            await writer.check()
            await writer.close()
