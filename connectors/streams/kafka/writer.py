"""Appends to one topic: keyed, idempotent, back when all in-sync replicas have them."""

import asyncio
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from connectors.streams.kafka.cluster import RECORD_OVERHEAD_BYTES, Cluster
from connectors.streams.kafka.topics import Topic
from engine.errors import PermanentError, TransientError
from engine.ports.stream import Message

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

# Also what may wait per partition while a broker is away: an append beyond it waits.
PRODUCER_BATCH_BYTES = 128 * 1024
# So many sends in a row take about 5 ms; then others on the event loop have a turn.
SENDS_PER_TURN = 100
# What the other partitions of a broken producer get to finish what is under way.
RETIRE_S = 1.0


class TopicWriter:
    """One producer for one topic, made by the first use and made anew when it broke."""

    def __init__(self, cluster: Cluster, topic: Topic) -> None:
        self._cluster = cluster
        self._topic = topic
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()
        self._appending = 0

    async def connect(self) -> None:
        """Raises TransientError when that takes too long, ConfigError for a topic that is wrong."""
        async with self._cluster.bounded("connect", at_start=True):
            await self._connected()

    async def append(self, messages: Sequence[Message]) -> None:
        """Append all, durably on all in-sync replicas, in order per key.

        Raises PermanentError when a record is too large or its key is no text: nothing was
        appended, except that a topic's lower limit may let the other messages pass. Raises
        TransientError when not all were acknowledged by the deadline; they may still arrive
        later, once each.
        """
        from aiokafka.errors import KafkaError

        pairs = self._encoded(messages)
        failed: AIOKafkaProducer | None = None
        self._appending += 1
        try:
            async with self._cluster.bounded("append"):
                producer = await self._connected()
                try:
                    await self._send(producer, pairs)
                except KafkaError:
                    failed = producer
                    raise
        finally:
            self._appending -= 1
            if failed is not None:
                await self._retire(failed)

    async def abandon(self) -> None:
        """Give up what is under way, so that it doesn't arrive behind what comes next."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer, 0)

    async def check(self) -> None:
        """Raise TransientError when not every partition can be written to now."""
        from aiokafka import TopicPartition

        name = self._topic.name
        try:
            async with self._cluster.bounded("check"):
                producer = await self._connected()
                await producer.client.add_topic(name)
                if not await producer.client.force_metadata_update():
                    raise TransientError(f"no broker of {self._cluster.config.servers} answers")
        except TransientError:
            await self._forget_idle()
            raise
        leaders = [
            producer.client.cluster.leader_for_partition(TopicPartition(name, partition))
            for partition in range(self._topic.partitions)
        ]
        if leaderless := [p for p, leader in enumerate(leaders) if leader in (None, -1)]:
            raise TransientError(
                f"partitions {leaderless} of Kafka topic {name!r} have no leader now"
            )

    async def close(self) -> None:
        """Flush and disconnect, within the deadline and one more for what hangs on a socket."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer, self._cluster.config.deadline_s)

    def _encoded(self, messages: Sequence[Message]) -> list[tuple[bytes, bytes]]:
        """Keys and values as Kafka takes them; PermanentError for the first that it can't."""
        limit = self._topic.max_record_bytes
        pairs = []
        for index, message in enumerate(messages):
            try:
                key = message.key.encode()
            except UnicodeEncodeError as error:
                raise PermanentError(
                    f"message {index} has a key that is no text: {message.key!r}: nothing of this "
                    "append was kept"
                ) from error
            if (size := len(key) + len(message.value)) > limit:
                raise PermanentError(
                    f"message {index} has {size} B and max_record_bytes is {limit}: nothing of "
                    "this append was kept; raise max_record_bytes and the topic's "
                    "max.message.bytes, or send less"
                )
            pairs.append((key, message.value))
        return pairs

    async def _send(
        self, producer: "AIOKafkaProducer", pairs: Sequence[tuple[bytes, bytes]]
    ) -> None:
        """Hand all to the producer, then wait for every acknowledgement."""
        acknowledgements: list[asyncio.Future[object]] = []
        try:
            for key, value in pairs:
                acknowledgements.append(
                    await producer.send(
                        self._topic.name, value, key=key, headers=list(self._topic.headers)
                    )
                )
                if len(acknowledgements) % SENDS_PER_TURN == 0:
                    await asyncio.sleep(0)
            for acknowledgement in acknowledgements:
                await acknowledgement
        finally:
            for acknowledgement in acknowledgements:
                if not acknowledgement.cancel() and not acknowledgement.cancelled():
                    acknowledgement.exception()  # seen, so that asyncio doesn't report it

    async def _retire(self, producer: "AIOKafkaProducer") -> None:
        """Let the next append make a new producer, and look for the topic, which may be gone.

        What failed for good left a gap in this one's sequence, and the broker refuses all that
        follows it.
        """
        if self._producer is producer:
            self._producer = None
        await _stop(producer, RETIRE_S)

    async def _forget_idle(self) -> None:
        """Connect anew next time, or a connection that was lost without a word is kept for ever.

        An append that is under way finds out by itself, and needs its producer to the end.
        """
        if not self._appending:
            await self.abandon()

    async def _connected(self) -> "AIOKafkaProducer":
        from aiokafka import AIOKafkaProducer

        config, topic = self._cluster.config, self._topic
        async with self._connecting:
            if self._producer is None:
                await self._cluster.verify_topic(topic)
                pinned = {"partitioner": _pinned_partitioner(topic.partitions)}
                producer = AIOKafkaProducer(
                    **await self._cluster.client_settings(),
                    **(pinned if topic.is_fixed else {}),
                    enable_idempotence=True,
                    acks="all",
                    linger_ms=config.linger_ms,
                    max_batch_size=min(PRODUCER_BATCH_BYTES, topic.max_record_bytes),
                    max_request_size=topic.max_record_bytes + RECORD_OVERHEAD_BYTES,
                    # Shorter than ours, so that an append still hears what went wrong for good.
                    request_timeout_ms=round(config.deadline_s * 1000) * 3 // 4,
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer


def _pinned_partitioner(partitions: int) -> "Callable[[bytes, list[int], list[int]], int]":
    """For a fixed number of partitions, so that no key ever moves."""
    return lambda key, _all, _available: partition_of(key, partitions)


@lru_cache(maxsize=4096)
def partition_of(key: bytes, partitions: int) -> int:
    """By Kafka's own hash, which aiokafka counts in Python, a character at a time."""
    from aiokafka.partitioner import murmur2

    return int(murmur2(key) & 0x7FFFFFFF) % partitions


async def _stop(producer: "AIOKafkaProducer", flush_s: float) -> None:
    """Flush and disconnect; what isn't acknowledged by then is given up.

    aiokafka flushes without a bound, so its sender is stopped from outside.
    """
    from aiokafka.errors import ProducerClosed

    sender = producer._sender.sender_task
    give_up = asyncio.get_running_loop().call_later(flush_s, sender.cancel)
    try:
        await producer.stop()
    finally:
        give_up.cancel()
        producer._message_accumulator.fail_all(ProducerClosed())
