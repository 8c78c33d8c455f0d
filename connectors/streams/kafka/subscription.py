"""One member of the consumer group: from the store's positions on, and only while assigned."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

from typing_extensions import override

from connectors.streams.kafka.ahead import KafkaAhead, record_of
from connectors.streams.kafka.cluster import other_count, quells_errors
from connectors.streams.kafka.reader import POLL_MS
from connectors.streams.kafka.topics import FoundTopic, Topic, find_topic
from engine.core.positions import misplaced
from engine.errors import StoppedError, TransientError
from engine.ports.stream import STOPPED_ASKS_S, Batch, Positions, Record, Subscription

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, TopicPartition
    from aiokafka.cluster import ClusterMetadata


class KafkaSubscription(Subscription):
    """A member of the group; also what aiokafka tells about rebalances.

    The group's committed offsets are never written or read. Heartbeats and rebalances go on in
    aiokafka's tasks while the caller works on a batch.
    """

    def __init__(
        self,
        consumer: "AIOKafkaConsumer",
        ahead: KafkaAhead,
        topic: Topic,
        log: str,
        positions: Positions,
        max_records: int,
    ) -> None:
        """`log` names the one that was there when this was made."""
        self._consumer = consumer
        self._ahead = ahead
        self._topic = topic
        self._log = log
        self._positions = positions
        self._max_records = max_records
        # Assigned, but not yet sent to the store's positions; None once that is done.
        self._unplaced: frozenset[TopicPartition] | None = None
        # Assigned, but not to be read now.
        self._held: set[TopicPartition] = set()
        # On the event loop's clock.
        self._ask_at = 0.0
        # Fetched and not yet given out.
        self._fetched: dict[int, Sequence[Record]] = {}
        # Whether the brokers said something since the topic was looked at; they do each minute,
        # and right after a fetch that met a topic which is gone.
        self._has_news = True

    def join(self) -> None:
        """Ask for a share of the partitions; it comes with a later poll."""
        from aiokafka import ConsumerRebalanceListener

        ConsumerRebalanceListener.register(KafkaSubscription)  # inheriting would import aiokafka
        self._consumer._client.cluster.add_listener(self._on_metadata)
        self._consumer.subscribe([self._topic.name], listener=self)

    def on_partitions_revoked(self, revoked: "set[TopicPartition]") -> None:
        """A rebalance begins: nothing more of these partitions is given out."""
        self._fetched.clear()

    def on_partitions_assigned(self, assigned: "set[TopicPartition]") -> None:
        """Hold the partitions still, before aiokafka can look for committed offsets."""
        for place in assigned:
            self._consumer.seek(place, 0)
            self._consumer.pause(place)
        self._held.clear()
        self._unplaced = frozenset(assigned)
        self._has_news = True

    @property
    @override
    def assigned(self) -> frozenset[int]:
        return frozenset(place.partition for place in self._consumer.assignment())

    @override
    async def batches(self) -> AsyncIterator[Batch]:
        """As the port says. After a TransientError, leave the context and subscribe again."""
        while True:
            if self._has_news:
                await self._look_at_topic()
            # Nothing is read of a topic that may be another one.
            if not self._has_news:
                await self._place()
            await self._fetch()
            while self._fetched:
                partition = next(iter(self._fetched))
                yield Batch(partition, self._fetched.pop(partition))

    @override
    def end(self, partition: int) -> int:
        from aiokafka import TopicPartition

        place = TopicPartition(self._topic.name, partition)
        if place not in self._consumer.assignment():
            return 0
        return self._consumer.highwater(place) or 0

    @override
    async def ahead(self, partition: int, offset: int, max_records: int) -> Sequence[Record]:
        return await self._ahead.read(partition, offset, max_records)

    @override
    async def rewind(self, partition: int, offset: int) -> None:
        from aiokafka import TopicPartition

        place = TopicPartition(self._topic.name, partition)
        self._fetched.pop(partition, None)
        # An unplaced partition goes on at the store's position anyway.
        if self._unplaced is None and place in self._consumer.assignment():
            self._release(place, offset)

    def _on_metadata(self, _cluster: "ClusterMetadata") -> None:
        self._has_news = True

    async def _look_at_topic(self) -> None:
        """Is it still the one that the positions are of? Raises TransientError when it isn't."""
        from aiokafka.errors import KafkaError

        self._has_news = False
        try:
            found = await find_topic(self._consumer._client, self._topic.name)
        except KafkaError:
            found = None
        if found is None:
            # No broker answers, or it is about to be made anew: nothing comes of it meanwhile.
            self._has_news = True
        elif log_of(self._topic, found) != self._log:
            raise TransientError(
                f"Kafka topic {self._topic.name!r} was deleted and made anew: its id is now "
                f"{found.id!r}"
            )

    async def _place(self) -> None:
        """Send the new partitions, and from time to time the held ones, to where the store says."""
        now = asyncio.get_running_loop().time()
        if self._unplaced is None and (not self._held or now < self._ask_at):
            return
        known = self._consumer.partitions_for_topic(self._topic.name)
        if known is not None and len(known) != self._topic.partitions:
            self._hold_all(other_count(self._topic, len(known)))
            return
        places = self._unplaced if self._unplaced is not None else frozenset(self._held)
        offsets = await self._positions(sorted(place.partition for place in places))
        if self._unplaced is not None and self._unplaced is not places:
            return  # the next rebalance came meanwhile
        self._unplaced = None
        self._ask_at = now + STOPPED_ASKS_S
        for place in places:
            if place.partition in offsets:
                self._release(place, offsets[place.partition])
            else:
                self._held.add(place)

    def _hold_all(self, reason: str) -> None:
        """Raise StoppedError for those that are held for the first time."""
        new = self._consumer.assignment() - self._held
        self._unplaced = None
        self._ask_at = asyncio.get_running_loop().time() + STOPPED_ASKS_S
        self._hold(new)
        if new:
            raise StoppedError({place.partition: reason for place in new})

    def _hold(self, places: "set[TopicPartition]") -> None:
        for place in places:
            self._consumer.pause(place)
            self._fetched.pop(place.partition, None)
        self._held |= places

    def _release(self, place: "TopicPartition", offset: int) -> None:
        self._consumer.seek(place, offset)
        self._consumer.resume(place)
        self._held.discard(place)

    async def _fetch(self) -> None:
        """Wait a little for records of placed partitions."""
        from aiokafka.errors import OffsetOutOfRangeError

        with quells_errors(f"reading Kafka topic {self._topic.name!r}"):
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
                raise TransientError("membership in the Kafka group was lost") from error
        if self._consumer._fetcher.error_future.done():
            # It has died, and aiokafka would go on to find nothing, for ever and without a word.
            raise TransientError(
                f"reading Kafka topic {self._topic.name!r}: the fetcher ended by itself"
            )
        for place, records in fetched.items():
            self._fetched[place.partition] = [record_of(found) for found in records]

    async def _out_of_range(self, wanted: "Mapping[TopicPartition, int]") -> StoppedError:
        """Hold these partitions, so that the others can go on, and say what is wrong."""
        self._hold(set(wanted) & self._consumer.assignment())
        first = await self._consumer.beginning_offsets(list(wanted))
        end = await self._consumer.end_offsets(list(wanted))
        return StoppedError(
            {
                place.partition: misplaced(
                    self._log, place.partition, offset, first[place], end[place]
                )
                for place, offset in wanted.items()
            }
        )


def log_of(topic: Topic, found: FoundTopic) -> str:
    """The name of the log that is there, as engine.core.positions says."""
    return f"kafka/{topic.name}" + (f"@{found.id}" if found.id else "")
