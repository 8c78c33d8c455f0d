"""The topic from which others follow incidents: compacted, in order, and nothing late."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from connectors.streams.kafka import KafkaConfig, incident_publisher
from connectors.streams.kafka.publisher import KafkaPublisher
from engine.errors import ConfigError, PermanentError, TransientError
from engine.ports.stream import Message
from tests.services.kafka import KafkaBroker


def config(kafka: KafkaBroker, **changes: Any) -> KafkaConfig:
    defaults = {
        "bootstrap_servers": (kafka.bootstrap,),
        "topic_prefix": f"publisher-{uuid4().hex}.",
        "replication_factor": 1,
        "incidents": {"partitions": 3},
    }
    return KafkaConfig(**(defaults | changes))


@asynccontextmanager
async def opened(settings: KafkaConfig) -> AsyncIterator[KafkaPublisher]:
    publisher = KafkaPublisher(settings)
    await publisher.open()
    try:
        yield publisher
    finally:
        await publisher.close()


async def records(kafka: KafkaBroker, topic: str) -> Sequence[ConsumerRecord]:
    """All that another program reads there now, in the order of each partition."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        places = consumer.assignment()
        left = sum((await consumer.end_offsets(places)).values())
        return [await anext(consumer) for _ in range(left)]
    finally:
        await consumer.stop()


async def test_the_states_of_an_incident_stay_in_order_in_one_partition(
    kafka: KafkaBroker,
) -> None:
    async with opened(config(kafka)) as publisher:
        for number in range(30):
            await publisher.publish(Message(f"incident-{number % 6}", str(number).encode()))
        found = await records(kafka, publisher.name)
    assert len(found) == 30
    assert len({record.partition for record in found}) > 1
    for key in {record.key for record in found}:
        of_key = [record for record in found if record.key == key]
        assert len({record.partition for record in of_key}) == 1
        numbers = [int(record.value) for record in of_key]
        assert numbers == sorted(numbers)


async def test_a_consumer_is_told_that_it_is_a_cloudevent(kafka: KafkaBroker) -> None:
    async with opened(config(kafka)) as publisher:
        await publisher.publish(Message("incident", b"{}"))
        (record,) = await records(kafka, publisher.name)
    assert record.headers == (("content-type", b"application/cloudevents+json; charset=UTF-8"),)


async def test_the_topic_is_made_compacted_with_its_own_partitions(kafka: KafkaBroker) -> None:
    settings = config(kafka)
    async with opened(settings) as publisher:
        assert publisher.name == f"{settings.topic_prefix}incidents"
        described = kafka.tool(
            "org.apache.kafka.tools.TopicCommand", "--describe", "--topic", publisher.name
        )
    assert "PartitionCount: 3" in described
    assert "cleanup.policy=compact" in described


async def test_a_topic_that_may_not_be_made_is_told_with_the_way_to_do_without(
    kafka: KafkaBroker,
) -> None:
    publisher = KafkaPublisher(config(kafka, create_topics=False))
    with pytest.raises(ConfigError, match=r"create it with 3 .*stream\.incidents\.publish"):
        await publisher.open()


async def test_a_topic_with_another_number_of_partitions_is_taken_as_it_is(
    kafka: KafkaBroker,
) -> None:
    settings = config(kafka, create_topics=False)
    await kafka.create_topic(f"{settings.topic_prefix}incidents", 5)
    async with opened(settings) as publisher:
        await publisher.publish(Message("incident", b"{}"))
        assert len(await records(kafka, publisher.name)) == 1


def test_it_can_be_left_out(kafka: KafkaBroker) -> None:
    assert incident_publisher(config(kafka, incidents={"publish": False})) is None
    assert incident_publisher(config(kafka)) is not None


async def test_what_the_topic_will_never_take_is_permanent(kafka: KafkaBroker) -> None:
    async with opened(config(kafka, max_record_bytes=2000)) as publisher:
        with pytest.raises(PermanentError, match="max_record_bytes"):
            await publisher.publish(Message("incident", bytes(3000)))


async def test_a_state_that_was_given_up_does_not_arrive_behind_a_newer_one(
    kafka: KafkaBroker,
) -> None:
    """The next state may come from another process, which knows nothing of this one's queue."""
    settings = config(kafka, deadline_s=2)
    async with opened(settings) as one, opened(settings) as other:
        await one.publish(Message("incident", b"1"))
        os.kill(kafka._process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(TransientError):
                await one.publish(Message("incident", b"2"))
        finally:
            os.kill(kafka._process.pid, signal.SIGCONT)
        async with asyncio.timeout(60):
            while not await is_published(other, b"3"):
                pass
            while not await is_published(one, b"4", "another"):
                pass  # until it is connected again
        values = [each.value for each in await records(kafka, one.name) if each.key == b"incident"]
    assert values[0] == b"1"
    assert values[-1] == b"3"


async def test_a_state_that_was_given_up_while_the_broker_was_gone_never_arrives(
    kafka: KafkaBroker,
) -> None:
    settings = config(kafka, deadline_s=2)
    async with opened(settings) as one, opened(settings) as other:
        await one.publish(Message("incident", b"1"))
        kafka.kill()
        try:
            with pytest.raises(TransientError):
                await one.publish(Message("incident", b"2"))
        finally:
            kafka.start()
        async with asyncio.timeout(60):
            while not await is_published(other, b"3"):
                pass
            while not await is_published(one, b"4", "another"):
                pass
        values = [each.value for each in await records(kafka, one.name) if each.key == b"incident"]
    assert values == [b"1", b"3"]


async def is_published(publisher: KafkaPublisher, value: bytes, key: str = "incident") -> bool:
    try:
        await publisher.publish(Message(key, value))
    except TransientError:
        return False
    return True
