"""What a topic keeps, read once from a time on: by nobody's group, and nobody's position moves."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING

from connectors.streams.kafka.cluster import Cluster
from connectors.streams.kafka.reader import POLL_MS, new_consumer, stop_consumer
from connectors.streams.kafka.topics import Topic, find_topic
from engine.core.journal import to_us
from engine.errors import TransientError
from engine.ports.stream import Kept, Record

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, TopicPartition


async def kept_records(
    cluster: Cluster, topic: Topic, since: datetime | None
) -> AsyncIterator[Kept]:
    """As the port says; `since` is by the brokers' timestamps. The topic is never made.

    Raises TransientError where it is gone or no broker answers in time.
    """
    from aiokafka import TopicPartition

    async with cluster.bounded("read the history"):
        consumer = await new_consumer(cluster, topic)
    try:
        async with cluster.bounded("read the history"):
            await consumer.start()
            found = await find_topic(consumer._client, topic.name)
            if found is None:
                raise TransientError(f"Kafka topic {topic.name!r} isn't there")
            places = [TopicPartition(topic.name, each) for each in range(found.partitions)]
            first = await consumer.beginning_offsets(places)
            begin = await _begins(consumer, first, since)
            ends = await consumer.end_offsets(places)
        for place in places:
            consumer.assign([place])
            consumer.seek(place, begin.get(place, ends[place]))
            at = begin.get(place, ends[place])
            while at < ends[place]:
                async with cluster.bounded("read the history"):
                    fetched = await consumer.getmany(place, timeout_ms=POLL_MS)
                    # It passes gaps, too.
                    at = await consumer.position(place)
                for each in fetched.get(place, ()):
                    if each.offset < ends[place]:
                        key = (each.key or b"").decode(errors="replace")
                        record = Record(place.partition, each.offset, key, each.value or b"")
                        yield Kept(record, is_first=each.offset == first[place])
    finally:
        await stop_consumer(consumer, cluster.config.deadline_s)


async def _begins(
    consumer: "AIOKafkaConsumer", first: "dict[TopicPartition, int]", since: datetime | None
) -> "dict[TopicPartition, int]":
    """Where to begin; a partition to which nothing came since then isn't in it."""
    if since is None:
        return first
    found = await consumer.offsets_for_times(dict.fromkeys(first, to_us(since) // 1000))
    return {place: each.offset for place, each in found.items() if each is not None}
