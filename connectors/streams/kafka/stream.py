"""The stream on Kafka: one topic of alerts and ticks, shared out in a consumer group."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import structlog
from typing_extensions import override

from connectors.streams.kafka.ahead import KafkaAhead
from connectors.streams.kafka.cluster import Cluster, KafkaConfig, other_count
from connectors.streams.kafka.history import kept_records
from connectors.streams.kafka.reader import Seen, TopicReader, new_consumer, stop_consumer
from connectors.streams.kafka.refusal import refusal
from connectors.streams.kafka.subscription import KafkaSubscription, log_of
from connectors.streams.kafka.topics import FoundTopic, Topic
from connectors.streams.kafka.writer import TopicWriter, partition_of
from engine.core.durations import parse_duration
from engine.errors import ConfigError, TransientError
from engine.ports.stream import Kept, Message, Positions, ReadableStream, Subscription

log = structlog.get_logger(__name__)


class KafkaStream(ReadableStream):
    """One topic of one cluster. `open` is optional: the first use connects."""

    def __init__(self, config: KafkaConfig) -> None:
        self._config = config
        self._cluster = Cluster(config)
        self._topic = Topic(
            config.topic,
            config.partitions,
            config.max_record_bytes,
            {"retention.ms": str(parse_duration(config.retention) // timedelta(milliseconds=1))},
            is_fixed=True,
        )
        self._writer = TopicWriter(self._cluster, self._topic)
        self._reader = TopicReader(self._cluster, self._topic)
        # As it was seen last.
        self._found: FoundTopic | None = None

    @property
    @override
    def name(self) -> str:
        """`kafka/`, the topic and its id, once a broker told it."""
        return log_of(self._topic, self._found or FoundTopic(0, ""))

    @override
    async def open(self) -> None:
        """Connect, and create the topic where it is absent and that is allowed.

        Raises ConfigError when the topic is absent, can't be made so, or has another number of
        partitions, and when a broker's certificate or quell's credentials are refused;
        TransientError when no broker answers in time. Later, while it runs, all of that is
        transient: senders keep their alerts until someone sets it right.
        """
        try:
            await self._writer.connect()
            async with self._cluster.bounded("connect", at_start=True):
                await self._identify()
        except TransientError:
            async with self._cluster.bounded("connect"):
                told = await refusal(self._cluster)
            if told:
                raise ConfigError(f"connect on Kafka: {told}") from None
            raise

    @override
    async def close(self) -> None:
        """Flush and disconnect, each client within the deadline."""
        await self._writer.close()
        await self._reader.close()

    @override
    async def append(self, messages: Sequence[Message]) -> None:
        """As the port says; also raises PermanentError, as TopicWriter does."""
        await self._writer.append(messages)

    @override
    def partition_of(self, key: str) -> int:
        return partition_of(key.encode(), self._config.partitions)

    @override
    @asynccontextmanager
    async def subscribe(
        self, positions: Positions, *, max_records: int
    ) -> AsyncIterator[Subscription]:
        """Join the consumer group; the partitions come, and go, while batches are read."""
        async with self._cluster.bounded("subscribe"):
            consumer = await new_consumer(self._cluster, self._topic, self._config.group_id)
        ahead = KafkaAhead(self._cluster, self._topic)
        try:
            async with self._cluster.bounded("subscribe"):
                await self._identify()
                subscription = KafkaSubscription(
                    consumer, ahead, self._topic, self.name, positions, max_records
                )
                await consumer.start()
                subscription.join()
            yield subscription
        finally:
            await ahead.close()
            await stop_consumer(consumer, self._config.deadline_s)

    @override
    async def end_offsets(self) -> Mapping[int, int]:
        return (await self._look()).end

    @override
    async def first_offsets(self) -> Mapping[int, int]:
        """As the port says; all partitions of a topic with another number of them are stopped."""
        seen = await self._look()
        if seen.topic.partitions != self._topic.partitions:
            raise TransientError(other_count(self._topic, seen.topic.partitions))
        return seen.first

    @override
    def history(self, since: datetime | None) -> AsyncIterator[Kept]:
        return kept_records(self._cluster, self._topic, since)

    @override
    async def check(self) -> None:
        await self._writer.check()

    async def _look(self) -> Seen:
        seen = await self._reader.look()
        self._found = seen.topic
        return seen

    async def _identify(self) -> None:
        """Whatever its number of partitions: a subscription stops them one by one, loudly."""
        self._found = await self._cluster.ensure_topic(self._topic)
        if not self._found.id:
            log.warning(
                "topic_id_unknown",
                topic=self._topic.name,
                problem="brokers before Kafka 2.8 can't tell a topic from one that took its name",
            )
