import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete

from connectors.streams.kafka import KafkaConfig, KafkaStream
from connectors.streams.kafka.subscription import KafkaSubscription
from engine.errors import StoppedError, TransientError
from engine.ports.stream import Batch, Message, Subscription
from tests.services.kafka import KafkaBroker

DEADLINE_S = 40.0
# One for each of two partitions, by Kafka's hash.
KEY_0, KEY_1 = "service-0", "service-2"


@dataclass
class StoredPositions:
    offsets: dict[int, int] = field(default_factory=dict)
    asked: list[Sequence[int]] = field(default_factory=list)
    first_asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, partitions: Sequence[int]) -> Mapping[int, int]:
        self.asked.append(partitions)
        self.first_asked.set()
        return {partition: self.offsets.get(partition, 0) for partition in partitions}

    def commit(self, batch: Batch) -> None:
        self.offsets[batch.partition] = batch.next_offset


@pytest.fixture
def config(kafka: KafkaBroker) -> KafkaConfig:
    unique = f"subscription-{uuid4().hex}"
    return KafkaConfig(
        bootstrap_servers=(kafka.bootstrap,),
        topic_prefix=f"{unique}.",
        group_id=unique,
        partitions=2,
        replication_factor=1,
        session_timeout_s=6,
    )


@pytest.fixture
async def stream(config: KafkaConfig) -> AsyncIterator[KafkaStream]:
    stream = KafkaStream(config)
    await stream.open()
    try:
        yield stream
    finally:
        await stream.close()


async def administer(config: KafkaConfig, method: str, *args: Any) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=list(config.bootstrap_servers))
    await admin.start()
    try:
        await getattr(admin, method)(*args)
    finally:
        await admin.close()


async def values(subscription: Subscription, count: int) -> list[int]:
    found: list[int] = []
    async for batch in subscription.batches():
        found += [int(record.value) for record in batch.records]
        if len(found) >= count:
            break
    return found


async def test_the_keys_of_these_tests_have_a_partition_each(stream: KafkaStream) -> None:
    await stream.append([Message(KEY_0, b"0"), Message(KEY_1, b"1")])
    assert await stream.end_offsets() == {0: 1, 1: 1}


async def test_offsets_committed_to_kafka_are_never_used(
    config: KafkaConfig, stream: KafkaStream
) -> None:
    await stream.append([Message(KEY_0, str(n).encode()) for n in range(10)])
    place = TopicPartition(config.topic, 0)
    other = AIOKafkaConsumer(
        bootstrap_servers=list(config.bootstrap_servers), group_id=config.group_id
    )
    other.assign([place])
    await other.start()
    await other.commit({place: 7})
    await other.stop()
    async with asyncio.timeout(DEADLINE_S):
        async with stream.subscribe(StoredPositions({0: 3}), max_records=100) as subscription:
            assert await values(subscription, 7) == list(range(3, 10))


@pytest.mark.parametrize(
    ("stored", "deleted_up_to", "says"),
    [
        (2, 5, "go on at 2 and holds 5 to 10: records expired"),
        (0, 5, "go on at 0 and holds 5 to 10: records expired"),
        (11, 0, "go on at 11 and holds 0 to 10: records that were processed are gone"),
    ],
    ids=["below-retention", "expired-before-the-first-look", "cut-off-at-its-end"],
)
async def test_a_position_without_its_records_stops_that_partition_loudly(
    config: KafkaConfig, stream: KafkaStream, stored: int, deleted_up_to: int, says: str
) -> None:
    await stream.append([Message(KEY_0, str(n).encode()) for n in range(10)])
    place = TopicPartition(config.topic, 0)
    if deleted_up_to:
        await administer(config, "delete_records", {place: RecordsToDelete(deleted_up_to)})
    async with (
        asyncio.timeout(DEADLINE_S),
        stream.subscribe(StoredPositions({0: stored}), max_records=100) as subscription,
    ):
        with pytest.raises(StoppedError, match=says) as raised:
            await anext(subscription.batches())
        assert set(raised.value.reasons) == {0}
        await stream.append([Message(KEY_1, b"100")])
        assert await values(subscription, 1) == [100]
        await subscription.rewind(0, 8)
        assert await values(subscription, 2) == [8, 9]


async def test_a_topic_that_is_made_anew_ends_the_subscription_and_the_next_has_its_name(
    kafka: KafkaBroker, config: KafkaConfig
) -> None:
    """Although it has more records than were read of the one before."""
    stream = KafkaStream(config.model_copy(update={"deadline_s": 2.0}))
    await stream.open()
    await stream.append([Message(KEY_0, str(n).encode()) for n in range(3)])
    positions, before = StoredPositions(), stream.name
    async with asyncio.timeout(DEADLINE_S):
        async with stream.subscribe(positions, max_records=100) as subscription:
            assert await values(subscription, 3) == [0, 1, 2]
            positions.offsets[0] = 3
            await kafka.delete_topic(config.topic)
            await kafka.create_topic(config.topic, 2)
            await produce(config, 0, *range(10, 16))
            with pytest.raises(TransientError, match="was deleted and made anew"):
                await anext(subscription.batches())
        assert stream.name == before, "until the next subscription"
        async with stream.subscribe(StoredPositions(), max_records=100) as subscription:
            assert stream.name != before
            assert await values(subscription, 6) == [*range(10, 16)]
    await stream.close()


async def produce(config: KafkaConfig, partition: int, *numbers: int) -> None:
    """As another program, which knows the topic by its name alone."""
    producer = AIOKafkaProducer(bootstrap_servers=list(config.bootstrap_servers))
    await producer.start()
    for number in numbers:
        await producer.send_and_wait(config.topic, str(number).encode(), partition=partition)
    await producer.stop()


async def test_a_changed_number_of_partitions_stops_the_subscription(
    config: KafkaConfig, stream: KafkaStream
) -> None:
    async with asyncio.timeout(DEADLINE_S):
        async with stream.subscribe(StoredPositions(), max_records=100) as subscription:
            await stream.append([Message(KEY_0, b"1")])
            assert await values(subscription, 1) == [1]
        await administer(config, "create_partitions", {config.topic: NewPartitions(3)})
        async with stream.subscribe(StoredPositions(), max_records=100) as subscription:
            with pytest.raises(StoppedError, match="has 3 partitions") as raised:
                await anext(subscription.batches())
            assert 0 in raised.value.reasons
        # Alerts are still taken, and no key has moved.
        await stream.append([Message(KEY_0, b"2"), Message(KEY_1, b"3")])
        assert await stream.end_offsets() == {0: 2, 1: 1}
        with pytest.raises(TransientError, match="has 3 partitions"):
            await stream.first_offsets()


async def test_a_rebalance_takes_back_what_was_fetched_and_asks_the_store_again(
    config: KafkaConfig,
) -> None:
    keys = [f"service-{n}" for n in range(40)]
    stream = KafkaStream(config.model_copy(update={"partitions": 4}))
    await stream.append([Message(key, b"old") for key in keys])
    ends = await stream.end_offsets()
    assert all(ends.values())
    positions, of_second = StoredPositions(), StoredPositions(dict(ends))
    async with (
        asyncio.timeout(DEADLINE_S),
        stream.subscribe(positions, max_records=1000) as first,
    ):
        batches = aiter(first.batches())
        positions.commit(await anext(batches))  # what it holds of the others was fetched as well
        async with (
            stream.subscribe(of_second, max_records=1000) as second,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(expect_batch(second, of_second))
            await of_second.first_asked.wait()
            kept = set(range(4)) - set(of_second.asked[-1])
            await stream.append([Message(key, b"new") for key in keys])
            while any(positions.offsets.get(p, 0) <= ends[p] for p in kept):
                batch = await anext(batches)
                assert batch.partition in kept
                assert batch.records[0].offset == positions.offsets.get(batch.partition, 0)
                positions.commit(batch)
    assert len(kept) == 2
    await stream.close()


async def expect_batch(subscription: Subscription, positions: StoredPositions) -> None:
    batch = await anext(subscription.batches())
    assert batch.partition in positions.asked[-1]
    assert batch.records[0].offset == positions.offsets[batch.partition]


async def test_a_rewind_reaches_what_was_fetched_and_not_given_out(stream: KafkaStream) -> None:
    await stream.append([Message(key, b"value") for key in (KEY_0, KEY_1) for _ in range(10)])
    async with (
        asyncio.timeout(DEADLINE_S),
        stream.subscribe(StoredPositions(), max_records=100) as subscription,
    ):
        batches = aiter(subscription.batches())
        taken = await anext(batches)
        await subscription.rewind(1 - taken.partition, 4)
        assert [record.offset for record in (await anext(batches)).records] == [*range(4, 10)]


async def test_a_stuck_consumer_loses_its_partitions_and_can_come_back(
    config: KafkaConfig, stream: KafkaStream
) -> None:
    await stream.append([Message(KEY_0, b"0"), Message(KEY_1, b"1")])
    impatient = KafkaStream(config.model_copy(update={"max_poll_interval_s": 1.0}))
    positions = StoredPositions()
    async with asyncio.timeout(DEADLINE_S):
        async with impatient.subscribe(positions, max_records=1) as stuck:
            stuck_batches = aiter(stuck.batches())
            await anext(stuck_batches)
            async with stream.subscribe(positions, max_records=10) as healthy:
                assert sorted(await values(healthy, 2)) == [0, 1]
            positions.offsets = {0: 1, 1: 0}
            try:
                batch = await anext(stuck_batches)
            except TransientError:  # by the moment at which the rebalance found it
                async with impatient.subscribe(positions, max_records=1) as again:
                    batch = await anext(again.batches())
        assert (batch.partition, batch.records[0].offset) == (1, 0)
    await impatient.close()


async def test_a_fetcher_that_died_is_told_so_that_the_caller_subscribes_again(
    config: KafkaConfig, stream: KafkaStream
) -> None:
    positions = StoredPositions()
    async with asyncio.timeout(DEADLINE_S):
        async with stream.subscribe(positions, max_records=10) as subscription:
            assert isinstance(subscription, KafkaSubscription)
            await stream.append([Message(KEY_0, b"0")])
            assert await values(subscription, 1) == [0]
            subscription._consumer._fetcher.error_future.cancel()
            await stream.append([Message(KEY_0, b"1")])
            with pytest.raises(TransientError, match="the fetcher ended by itself"):
                await values(subscription, 1)
        positions.offsets = {0: 1}
        async with stream.subscribe(positions, max_records=10) as subscription:
            assert await values(subscription, 1) == [1]


async def test_long_work_on_a_batch_keeps_the_partitions(
    config: KafkaConfig, stream: KafkaStream
) -> None:
    """Heartbeats go on while the caller works: a session's time passes without a rebalance."""
    await stream.append([Message(KEY_0, str(n).encode()) for n in range(4)])
    positions = StoredPositions()
    async with (
        asyncio.timeout(DEADLINE_S),
        stream.subscribe(positions, max_records=2) as subscription,
    ):
        batches = aiter(subscription.batches())
        await anext(batches)
        await asyncio.sleep(config.session_timeout_s + 1)
        assert [int(record.value) for record in (await anext(batches)).records] == [2, 3]
    assert len(positions.asked) == 1


async def test_a_foreign_record_without_key_or_value_comes_as_empty(
    config: KafkaConfig, stream: KafkaStream
) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=list(config.bootstrap_servers))
    await producer.start()
    await producer.send_and_wait(config.topic, key=b"\xff", value=None, partition=0)
    await producer.send_and_wait(config.topic, value=b"1", partition=0)
    await producer.stop()
    async with (
        asyncio.timeout(DEADLINE_S),
        stream.subscribe(StoredPositions(), max_records=10) as subscription,
    ):
        batch = await anext(subscription.batches())
        assert [(record.key, record.value) for record in batch.records] == [
            ("\N{REPLACEMENT CHARACTER}", b""),
            ("", b"1"),
        ]
