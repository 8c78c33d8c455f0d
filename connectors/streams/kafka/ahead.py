"""Reads records far behind the group's own reader, beside the group and without waiting."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from connectors.streams.kafka.cluster import Cluster
from connectors.streams.kafka.reader import started_consumer, stop_consumer
from connectors.streams.kafka.topics import Topic
from engine.ports.stream import Record

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer
    from aiokafka.structs import ConsumerRecord


class KafkaAhead:
    """A consumer outside of any group; it connects when it is first asked.

    What it has fetched waits in memory: of each partition at most one answer of a broker.
    """

    def __init__(self, cluster: Cluster, topic: Topic) -> None:
        self._cluster = cluster
        self._topic = topic
        self._consumer: AIOKafkaConsumer | None = None
        # Where each partition goes on that was asked for.
        self._next: dict[int, int] = {}

    async def read(self, partition: int, offset: int, max_records: int) -> Sequence[Record]:
        """What was fetched since this partition was asked for from `offset` on, if anything.

        Raises TransientError where no broker answers to the first connection.
        """
        from aiokafka import TopicPartition
        from aiokafka.errors import KafkaError

        consumer = await self._connected()
        place = TopicPartition(self._topic.name, partition)
        if self._next.get(partition) != offset:
            consumer.seek(place, offset)
            consumer.resume(place)
            self._next[partition] = offset
        try:
            fetched = await consumer.getmany(place, timeout_ms=0, max_records=max_records)
        except KafkaError:
            # Whoever reads in order meets it too, and tells what is wrong.
            del self._next[partition]
            consumer.pause(place)
            return ()
        records = [record_of(found) for found in fetched.get(place, ())]
        if records:
            self._next[partition] = records[-1].offset + 1
        return records

    async def close(self) -> None:
        """Disconnect, within the deadline."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer, self._cluster.config.deadline_s)

    async def _connected(self) -> "AIOKafkaConsumer":
        from aiokafka import TopicPartition

        if self._consumer is None:
            async with self._cluster.bounded("look ahead"):
                consumer = await started_consumer(self._cluster, self._topic)
            places = [TopicPartition(self._topic.name, p) for p in range(self._topic.partitions)]
            consumer.assign(places)
            for place in places:
                # Nothing is fetched, and no committed offset looked for, before it is asked for.
                consumer.seek(place, 0)
                consumer.pause(place)
            self._consumer = consumer
        return self._consumer


def record_of(found: "ConsumerRecord") -> Record:
    """As the port has it."""
    # Another program may have written no key, bytes that are no text, or no value.
    key = (found.key or b"").decode(errors="replace")
    return Record(found.partition, found.offset, key, found.value or b"")
