"""The past of a topic, from a time on, read as nobody."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from connectors.streams.kafka import KafkaStream
from connectors.streams.kafka.topics import find_topic
from engine.errors import TransientError
from engine.ports.stream import Message
from tests.connectors.streams.kafka.test_stream import config, opened
from tests.services.kafka import KafkaBroker


async def test_a_time_is_where_the_past_begins(kafka: KafkaBroker) -> None:
    async with opened(config(kafka)) as stream:
        await stream.append([Message("k", b"old")])
        await asyncio.sleep(0.05)  # the broker's timestamps are milliseconds
        since = datetime.now(UTC)
        await stream.append([Message("k", b"new"), Message("other", b"new")])
        found = [each async for each in stream.history(since)]
        assert [each.record.value for each in found] == [b"new", b"new"]
        late = [each async for each in stream.history(since + timedelta(hours=1))]
        assert late == []


async def test_reading_the_past_needs_no_group_and_opens_nothing(kafka: KafkaBroker) -> None:
    settings = config(kafka, group_id="nobodys-group")
    async with opened(settings) as stream:
        await stream.append([Message("k", b"1")])
    reader = KafkaStream(settings)
    found = [each async for each in reader.history(None)]
    await reader.close()
    assert [(each.record.key, each.record.value, each.is_first) for each in found] == [
        ("k", b"1", True)
    ]
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        groups = await admin.list_consumer_groups()
    finally:
        await admin.close()
    assert "nobodys-group" not in [each[0] for each in groups]


async def test_a_topic_that_is_not_there_is_said_to_be_away_and_not_made(
    kafka: KafkaBroker,
) -> None:
    settings = config(kafka)
    reader = KafkaStream(settings)
    with pytest.raises(TransientError, match="isn't there"):
        async for _ in reader.history(None):
            pass
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        assert await find_topic(admin._client, settings.topic) is None
    finally:
        await admin.close()
