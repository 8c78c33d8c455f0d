"""Consumers, and the one outside of any group that looks at a topic without taking part."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.streams.kafka.cluster import RECORD_OVERHEAD_BYTES, Cluster
from connectors.streams.kafka.topics import FoundTopic, Topic, find_topic
from engine.errors import TransientError

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

POLL_MS = 250
# What a consumer gets to disconnect that may be heard of no more.
RETIRE_S = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A topic at one moment: what it is, and where each partition's records begin and end."""

    topic: FoundTopic
    first: Mapping[int, int]
    end: Mapping[int, int]


class TopicReader:
    """One consumer for one topic, made by the first use; its uses come one after the other."""

    def __init__(self, cluster: Cluster, topic: Topic) -> None:
        self._cluster = cluster
        self._topic = topic
        self._consumer: AIOKafkaConsumer | None = None
        self._busy = asyncio.Lock()

    async def look(self) -> Seen:
        """Raises TransientError."""
        from aiokafka import TopicPartition

        name = self._topic.name
        async with self._bounded("look at the offsets"):
            consumer = await self._connected()
            topic = await find_topic(consumer._client, name)
            if topic is None:
                raise TransientError(f"Kafka topic {name!r} is gone")
            count = min(self._topic.partitions, topic.partitions)
            places = [TopicPartition(name, partition) for partition in range(count)]
            first = await consumer.beginning_offsets(places)
            end = await consumer.end_offsets(places)
        return Seen(
            topic,
            {place.partition: offset for place, offset in first.items()},
            {place.partition: offset for place, offset in end.items()},
        )

    async def values(self, partition: int, begin: int, end: int) -> Sequence[bytes]:
        """The values of the records from `begin` to before `end`, in order.

        Raises TransientError; the records must be there.
        """
        from aiokafka import TopicPartition

        place, found = TopicPartition(self._topic.name, partition), list[bytes]()
        async with self._bounded("read"):
            consumer = await self._connected()
            consumer.assign([place])
            consumer.seek(place, begin)
            while await consumer.position(place) < end:
                records = (await consumer.getmany(place, timeout_ms=POLL_MS)).get(place, ())
                found += [record.value or b"" for record in records if record.offset < end]
        return found

    async def close(self) -> None:
        """Disconnect, within the deadline."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer, self._cluster.config.deadline_s)

    @asynccontextmanager
    async def _bounded(self, what: str) -> AsyncIterator[None]:
        """One use within the deadline; where it ends unanswered, the next one connects anew.

        A connection that was lost without a word would else be kept for ever: nobody waits for
        its requests until aiokafka gives them up.
        """
        used = False
        try:
            async with self._cluster.bounded(what), self._busy:
                used = True
                yield
        except TransientError as error:
            unanswered = used and isinstance(error.__cause__, TimeoutError)
            if unanswered and (consumer := self._consumer) is not None:
                self._consumer = None
                await stop_consumer(consumer, RETIRE_S)
            raise

    async def _connected(self) -> "AIOKafkaConsumer":
        if self._consumer is None:
            await self._cluster.ensure_topic(self._topic)
            self._consumer = await started_consumer(self._cluster, self._topic)
        return self._consumer


async def started_consumer(cluster: Cluster, topic: Topic) -> "AIOKafkaConsumer":
    """One outside of any group; it is stopped where it can't be started."""
    consumer = await new_consumer(cluster, topic)
    try:
        await consumer.start()
    except BaseException:
        await consumer.stop()
        raise
    return consumer


async def new_consumer(
    cluster: Cluster, topic: Topic, group_id: str | None = None
) -> "AIOKafkaConsumer":
    """One that isn't started, never commits, and reads only from where it is sent to."""
    from aiokafka import AIOKafkaConsumer

    config = cluster.config
    session_ms = round(config.session_timeout_s * 1000)
    return AIOKafkaConsumer(
        **await cluster.client_settings(),
        group_id=group_id,
        enable_auto_commit=False,
        auto_offset_reset="none",
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=session_ms // 4,
        max_poll_interval_ms=round(config.max_poll_interval_s * 1000),
        # Joining a group waits for the slowest member, at most a session.
        request_timeout_ms=session_ms + round(config.deadline_s * 1000),
        max_partition_fetch_bytes=topic.max_record_bytes + RECORD_OVERHEAD_BYTES,
    )


async def stop_consumer(consumer: "AIOKafkaConsumer", timeout_s: float) -> None:
    """Leave the group and disconnect; what still hangs at the deadline is cut off."""
    try:
        async with asyncio.timeout(timeout_s), asyncio.TaskGroup() as group:
            # In a task of its own: with a broker away, stop() can end in a CancelledError that
            # nobody asked for.
            group.create_task(consumer.stop())
    except TimeoutError:
        pass
    coordinator, fetcher = consumer._coordinator, consumer._fetcher
    tasks = [
        getattr(coordinator, "_heartbeat_task", None),
        getattr(coordinator, "_commit_refresh_task", None),
        getattr(fetcher, "_fetch_task", None),
        *getattr(fetcher, "_pending_tasks", ()),
    ]
    hanging = [task for task in tasks if task is not None and not task.done()]
    for task in hanging:
        task.cancel()
    if hanging:
        await asyncio.wait(hanging)
    await consumer._client.close()
