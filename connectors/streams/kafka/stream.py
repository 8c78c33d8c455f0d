"""The stream on Kafka: keyed, idempotent appends, back when all in-sync replicas have them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from typing_extensions import override

from connectors.streams.kafka.cluster import (
    RECORD_OVERHEAD_BYTES,
    Cluster,
    KafkaConfig,
    quells_errors,
)
from connectors.streams.kafka.refusal import refusal
from connectors.streams.kafka.subscription import KafkaSubscription, stop_consumer
from engine.errors import ConfigError, PermanentError, TransientError
from engine.ports.stream import Message, Positions, Stream, Subscription

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

# Also what may wait per partition while a broker is away: an append beyond it waits.
PRODUCER_BATCH_BYTES = 128 * 1024
# So many sends in a row take about 5 ms; then others on the event loop have a turn.
SENDS_PER_TURN = 100
# What the other partitions of a broken producer get to finish what is under way.
RETIRE_S = 1.0


class KafkaStream(Stream):
    """One topic of one cluster. `open` is optional: the first use connects."""

    def __init__(self, config: KafkaConfig) -> None:
        self._config = config
        self._cluster = Cluster(config)
        self._producer: AIOKafkaProducer | None = None
        self._looker: AIOKafkaConsumer | None = None
        self._connecting = asyncio.Lock()
        self._topic_verified = False

    @property
    @override
    def name(self) -> str:
        """`kafka/` and the topic."""
        return f"kafka/{self._config.topic}"

    async def open(self) -> None:
        """Connect, and create the topic where it is absent and that is allowed.

        Raises ConfigError when the topic is absent, can't be made so, or has another number of
        partitions, and when a broker's certificate or quell's credentials are refused;
        TransientError when no broker answers in time. Later, while it runs, a refusal is
        transient: senders keep their alerts until someone sets it right.
        """
        try:
            async with self._bounded("connect"):
                await self._connected_producer()
        except TransientError:
            async with self._bounded("connect"):
                told = await refusal(self._cluster)
            if told:
                raise ConfigError(f"connect on Kafka: {told}") from None
            raise

    async def close(self) -> None:
        """Flush and disconnect, within the deadline and one more for what hangs on a socket."""
        producer, self._producer = self._producer, None
        looker, self._looker = self._looker, None
        if producer is not None:
            await _stop_producer(producer, self._config.deadline_s)
        if looker is not None:
            await stop_consumer(looker, self._config.deadline_s)

    @override
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
        try:
            async with self._bounded("append"):
                producer = await self._connected_producer()
                try:
                    await self._send(producer, pairs)
                except KafkaError:
                    failed = producer
                    raise
        finally:
            if failed is not None:
                await self._retire(failed)

    @override
    def partition_of(self, key: str) -> int:
        return _partition_of(key.encode(), self._config.partitions)

    @override
    @asynccontextmanager
    async def subscribe(
        self, positions: Positions, *, max_records: int
    ) -> AsyncIterator[Subscription]:
        """Join the consumer group; the partitions come, and go, while batches are read."""
        async with self._bounded("subscribe"):
            consumer = await self._consumer(self._config.group_id)
        subscription = KafkaSubscription(consumer, self._config, positions, max_records)
        try:
            async with self._bounded("subscribe"):
                await self._verify_topic()
                await consumer.start()
                subscription.join()
            yield subscription
        finally:
            await stop_consumer(consumer, self._config.deadline_s)

    @override
    async def end_offsets(self) -> Mapping[int, int]:
        async with self._bounded("read the end offsets"):
            looker = await self._connected_looker()
            return {
                place.partition: offset
                for place, offset in (await looker.end_offsets(self._places())).items()
            }

    @override
    async def check(self) -> None:
        async with self._bounded("check"):
            producer = await self._connected_producer()
            await producer.client.add_topic(self._config.topic)
            updated = await producer.client.force_metadata_update()
            leaders = [producer.client.cluster.leader_for_partition(p) for p in self._places()]
        if not updated:
            raise TransientError(f"no broker of {self._servers} answers")
        if leaderless := [p for p, leader in enumerate(leaders) if leader in (None, -1)]:
            raise TransientError(
                f"partitions {leaderless} of Kafka topic {self._config.topic!r} have no leader now"
            )

    @property
    def _servers(self) -> str:
        return ",".join(self._config.bootstrap_servers)

    def _places(self) -> "list[TopicPartition]":
        from aiokafka import TopicPartition

        return [TopicPartition(self._config.topic, p) for p in range(self._config.partitions)]

    def _encoded(self, messages: Sequence[Message]) -> list[tuple[bytes, bytes]]:
        """Keys and values as Kafka takes them; PermanentError for the first that it can't."""
        limit = self._config.max_record_bytes
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
                acknowledgements.append(await producer.send(self._config.topic, value, key=key))
                if len(acknowledgements) % SENDS_PER_TURN == 0:
                    await asyncio.sleep(0)
            for acknowledgement in acknowledgements:
                await acknowledgement
        finally:
            for acknowledgement in acknowledgements:
                if not acknowledgement.cancel() and not acknowledgement.cancelled():
                    acknowledgement.exception()  # seen, so that asyncio doesn't report it

    async def _retire(self, producer: "AIOKafkaProducer") -> None:
        """Let the next append make a new producer.

        What failed for good left a gap in this one's sequence, and the broker refuses all that
        follows it.
        """
        if self._producer is producer:
            self._producer = None
            self._topic_verified = False  # the topic may have been deleted
        await _stop_producer(producer, RETIRE_S)

    async def _connected_producer(self) -> "AIOKafkaProducer":
        from aiokafka import AIOKafkaProducer

        async with self._connecting:
            if self._producer is None:
                await self._verify_topic()
                producer = AIOKafkaProducer(
                    **await self._cluster.client_settings(),
                    enable_idempotence=True,
                    acks="all",
                    partitioner=_pinned_partitioner(self._config.partitions),
                    linger_ms=self._config.linger_ms,
                    max_batch_size=min(PRODUCER_BATCH_BYTES, self._config.max_record_bytes),
                    max_request_size=self._config.max_record_bytes + RECORD_OVERHEAD_BYTES,
                    # Shorter than ours, so that an append still hears what went wrong for good.
                    request_timeout_ms=_ms(self._config.deadline_s) * 3 // 4,
                )
                await _start(producer)
                self._producer = producer
            return self._producer

    async def _connected_looker(self) -> "AIOKafkaConsumer":
        """A consumer outside any group: only these can ask for offsets."""
        async with self._connecting:
            if self._looker is None:
                await self._verify_topic()
                looker = await self._consumer(group_id=None)
                await _start(looker)
                self._looker = looker
            return self._looker

    async def _consumer(self, group_id: str | None) -> "AIOKafkaConsumer":
        from aiokafka import AIOKafkaConsumer

        session_ms = _ms(self._config.session_timeout_s)
        return AIOKafkaConsumer(
            **await self._cluster.client_settings(),
            group_id=group_id,
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 4,
            max_poll_interval_ms=_ms(self._config.max_poll_interval_s),
            # Joining a group waits for the slowest member, at most a session.
            request_timeout_ms=session_ms + _ms(self._config.deadline_s),
            max_partition_fetch_bytes=self._config.max_record_bytes + RECORD_OVERHEAD_BYTES,
        )

    async def _verify_topic(self) -> None:
        if not self._topic_verified:
            await self._cluster.verify_topic()
            self._topic_verified = True

    @asynccontextmanager
    async def _bounded(self, what: str) -> AsyncIterator[None]:
        """Within the deadline, in quell's errors."""
        try:
            with quells_errors(f"{what} on Kafka at {self._servers}"):
                async with asyncio.timeout(self._config.deadline_s):
                    yield
        except TimeoutError as error:
            raise TransientError(
                f"{what} on Kafka at {self._servers} not done within {self._config.deadline_s:g} s"
            ) from error


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _pinned_partitioner(partitions: int) -> "Callable[[bytes, list[int], list[int]], int]":
    """For a fixed number of partitions, so that no key ever moves."""
    return lambda key, _all, _available: _partition_of(key, partitions)


def _partition_of(key: bytes, partitions: int) -> int:
    """By Kafka's own hash."""
    from aiokafka.partitioner import murmur2

    return int(murmur2(key) & 0x7FFFFFFF) % partitions


async def _start(client: "AIOKafkaProducer | AIOKafkaConsumer") -> None:
    """Start it, and tidy up where that fails."""
    try:
        await client.start()
    except BaseException:
        await client.stop()
        raise


async def _stop_producer(producer: "AIOKafkaProducer", flush_s: float) -> None:
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
