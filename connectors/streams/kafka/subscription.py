"""One member of the consumer group: from the store's positions on, and only while assigned."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

from typing_extensions import override

from connectors.streams.kafka.cluster import KafkaConfig, other_count, quells_errors
from engine.errors import PartitionStoppedError, TransientError
from engine.ports.stream import Batch, Positions, Record, Subscription

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, TopicPartition

# How long one poll waits for records; a finished rebalance is seen no later.
POLL_MS = 250


class KafkaSubscription(Subscription):
    """A member of the group; also what aiokafka tells about rebalances.

    The group's committed offsets are never written or read. Heartbeats and rebalances go on in
    aiokafka's tasks while the caller works on a batch.
    """

    def __init__(
        self,
        consumer: "AIOKafkaConsumer",
        config: KafkaConfig,
        positions: Positions,
        max_records: int,
    ) -> None:
        self._consumer = consumer
        self._config = config
        self._positions = positions
        self._max_records = max_records
        # Assigned, but not yet sent to the store's positions; None once that is done.
        self._unplaced: frozenset[TopicPartition] | None = None
        # Fetched and not yet given out.
        self._fetched: dict[int, Sequence[Record]] = {}

    def join(self) -> None:
        """Ask for a share of the partitions; it comes with a later poll."""
        from aiokafka import ConsumerRebalanceListener

        ConsumerRebalanceListener.register(KafkaSubscription)  # inheriting would import aiokafka
        self._consumer.subscribe([self._config.topic], listener=self)

    def on_partitions_revoked(self, revoked: "set[TopicPartition]") -> None:
        """A rebalance begins: nothing more of these partitions is given out."""
        self._fetched.clear()

    def on_partitions_assigned(self, assigned: "set[TopicPartition]") -> None:
        """Hold the partitions still, before aiokafka can look for committed offsets."""
        for place in assigned:
            self._consumer.seek(place, 0)
            self._consumer.pause(place)
        self._unplaced = frozenset(assigned)

    @property
    @override
    def assigned(self) -> frozenset[int]:
        return frozenset(place.partition for place in self._consumer.assignment())

    @override
    async def batches(self) -> AsyncIterator[Batch]:
        while True:
            if self._unplaced is not None:
                await self._place()
            await self._fetch()
            while self._fetched:
                partition = next(iter(self._fetched))
                yield Batch(partition, self._fetched.pop(partition))

    @override
    async def rewind(self, partition: int, offset: int) -> None:
        from aiokafka import TopicPartition

        place = TopicPartition(self._config.topic, partition)
        self._fetched.pop(partition, None)
        # An unplaced partition goes on at the store's position anyway.
        if self._unplaced is None and place in self._consumer.assignment():
            self._consumer.seek(place, offset)
            self._consumer.resume(place)

    async def _place(self) -> None:
        """Send the new partitions to where the store says."""
        known = self._consumer.partitions_for_topic(self._config.topic)
        if known is not None and len(known) != self._config.partitions:
            raise PartitionStoppedError(other_count(self._config, len(known)), self.assigned)
        while (places := self._unplaced) is not None:
            offsets = await self._positions(sorted(place.partition for place in places))
            if places is not self._unplaced:
                continue  # the next rebalance came meanwhile
            for place in places:
                self._consumer.seek(place, offsets[place.partition])
                self._consumer.resume(place)
            self._unplaced = None

    async def _fetch(self) -> None:
        """Wait a little for records of placed partitions."""
        from aiokafka.errors import OffsetOutOfRangeError

        with quells_errors(f"reading Kafka topic {self._config.topic!r}"):
            try:
                fetched = await self._consumer.getmany(
                    timeout_ms=POLL_MS, max_records=self._max_records
                )
            except OffsetOutOfRangeError as error:
                raise await self._out_of_range(error.args[0]) from error
            except asyncio.CancelledError as error:
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise
                # Nobody cancelled us: aiokafka cancelled its own group membership, in a rebalance
                # that met the end of max_poll_interval_s, and hands out the pieces.
                raise TransientError(
                    f"membership in Kafka group {self._config.group_id!r} was lost"
                ) from error
        if self._consumer._fetcher.error_future.done():
            # It has died, and aiokafka would go on to find nothing, for ever and without a word.
            raise TransientError(
                f"reading Kafka topic {self._config.topic!r}: the fetcher ended by itself"
            )
        for place, records in fetched.items():
            self._fetched[place.partition] = [
                # Another program may have written no key, bytes that are no text, or no value.
                Record(
                    place.partition,
                    found.offset,
                    (found.key or b"").decode(errors="replace"),
                    found.value or b"",
                )
                for found in records
            ]

    async def _out_of_range(self, wanted: "Mapping[TopicPartition, int]") -> PartitionStoppedError:
        """Hold these partitions, so that the others can go on, and say what is wrong."""
        for place in wanted:
            if place in self._consumer.assignment():
                self._consumer.pause(place)
        first = await self._consumer.beginning_offsets(list(wanted))
        end = await self._consumer.end_offsets(list(wanted))
        lost = "; ".join(
            f"partition {place.partition} is to go on at {offset!r} and holds {first[place]} to "
            f"{end[place]}"
            for place, offset in wanted.items()
        )
        return PartitionStoppedError(
            f"Kafka topic {self._config.topic!r}: {lost}. Records expired before they were "
            "processed, or the topic was made anew. Set the stored position to an offset that "
            "is there to go on without the lost ones",
            [place.partition for place in wanted],
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
