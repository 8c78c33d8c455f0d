import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from structlog.testing import capture_logs

from connectors.streams.kafka import KafkaConfig, KafkaStream
from connectors.streams.kafka import cluster as cluster_module
from connectors.streams.kafka.topics import FoundTopic, find_topic
from engine.errors import TransientError
from engine.ports.stream import Message, Record
from tests.services.kafka import KafkaBroker


def config(kafka: KafkaBroker, **changes: Any) -> KafkaConfig:
    defaults = {
        "bootstrap_servers": (kafka.bootstrap,),
        "topic_prefix": f"stream-{uuid4().hex}.",
        "partitions": 3,
        "replication_factor": 1,
    }
    return KafkaConfig(**(defaults | changes))


@asynccontextmanager
async def opened(settings: KafkaConfig) -> AsyncIterator[KafkaStream]:
    stream = KafkaStream(settings)
    try:
        await stream.open()
        yield stream
    finally:
        await stream.close()


@contextmanager
def frozen(kafka: KafkaBroker) -> Iterator[None]:
    """The broker's sockets stay open, and nothing answers."""
    os.kill(kafka._process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(kafka._process.pid, signal.SIGCONT)


async def answered(use: Callable[[], Awaitable[None]]) -> None:
    """Use the stream again and again until it works."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await use()
            except TransientError:
                continue


async def all_records(stream: KafkaStream) -> list[Record]:
    end = sum((await stream.end_offsets()).values())
    found: list[Record] = []
    async with stream.subscribe(from_the_start, max_records=1000) as member:
        async for batch in member.batches():
            found += batch.records
            if len(found) >= end:
                break
    return found


async def from_the_start(partitions: Sequence[int]) -> Mapping[int, int]:
    return dict.fromkeys(partitions, 0)


async def test_the_name_is_the_topic_and_its_id_once_a_broker_told_it(kafka: KafkaBroker) -> None:
    settings = config(kafka)
    stream = KafkaStream(settings)
    assert stream.name == f"kafka/{settings.topic}"
    await stream.end_offsets()
    name, topic_id = stream.name.split("@")
    assert name == f"kafka/{settings.topic}"
    assert f"TopicId: {topic_id}" in kafka.tool(
        "org.apache.kafka.tools.TopicCommand", "--describe", "--topic", settings.topic
    )
    await stream.close()


async def test_brokers_that_cannot_tell_ids_are_accepted_with_a_note(
    kafka: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find_without_id(client: object, name: str) -> FoundTopic | None:
        found = await find_topic(client, name)
        return found and FoundTopic(found.partitions, "")

    monkeypatch.setattr(cluster_module, "find_topic", find_without_id)
    settings = config(kafka)
    with capture_logs() as logs:
        async with opened(settings) as stream:
            assert stream.name == f"kafka/{settings.topic}"
    assert [each["event"] for each in logs] == ["topic_id_unknown"]


async def test_first_offsets_follow_what_expired(kafka: KafkaBroker) -> None:
    settings = config(kafka, partitions=1)
    async with opened(settings) as stream:
        await stream.append([Message("key", b"1"), Message("key", b"2"), Message("key", b"3")])
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        await admin.delete_records({TopicPartition(settings.topic, 0): RecordsToDelete(2)})
        await admin.close()
        assert await stream.first_offsets() == {0: 2}
        assert await stream.end_offsets() == {0: 3}


async def test_a_deleted_topic_is_made_anew_by_a_later_append(kafka: KafkaBroker) -> None:
    settings = config(kafka, deadline_s=2)
    async with opened(settings) as stream:
        await stream.append([Message("key", b"1")])
        await kafka.delete_topic(settings.topic)
        await answered(lambda: stream.append([Message("key", b"2")]))
        assert sum((await stream.end_offsets()).values()) >= 1


async def test_a_silent_broker_is_transient_within_the_deadline(kafka: KafkaBroker) -> None:
    async with opened(config(kafka, deadline_s=2)) as stream:
        await stream.append([Message("key", b"0")])
        await stream.end_offsets()
        with frozen(kafka):
            for use in (stream.append([Message("key", b"1")]), stream.check()):
                began = time.monotonic()
                with pytest.raises(TransientError):
                    await use
                assert time.monotonic() - began < 6
            with pytest.raises(TransientError):
                await stream.end_offsets()
        await answered(stream.check)
        # What timed out stayed under way, and is there once before what follows it.
        await stream.append([Message("key", b"2")])
        async with stream.subscribe(from_the_start, max_records=10) as member:
            batch = await anext(member.batches())
        assert [record.value for record in batch.records] == [b"0", b"1", b"2"]


async def test_closing_ends_in_time_when_the_broker_is_silent(kafka: KafkaBroker) -> None:
    stream = KafkaStream(config(kafka, deadline_s=1, session_timeout_s=6))
    before = asyncio.all_tasks()
    await stream.open()
    await stream.append([Message("key", b"1")])
    await stream.end_offsets()
    subscription = stream.subscribe(from_the_start, max_records=10)
    async with asyncio.timeout(20):
        member = await subscription.__aenter__()
        await anext(member.batches())
    with frozen(kafka):
        with pytest.raises(TransientError):
            await stream.append([Message("key", b"2")])
        began = time.monotonic()
        await subscription.__aexit__(None, None, None)
        await stream.close()
        assert time.monotonic() - began < 8
    async with asyncio.timeout(10):
        while left := asyncio.all_tasks() - before:
            await asyncio.wait(left)


async def test_closing_ends_in_time_when_the_broker_is_gone(kafka: KafkaBroker) -> None:
    stream = KafkaStream(config(kafka, deadline_s=1))
    before = asyncio.all_tasks()
    async with asyncio.timeout(60), stream.subscribe(from_the_start, max_records=10) as member:
        await stream.append([Message("key", b"1")])
        await anext(member.batches())
        kafka.kill()
        with pytest.raises(TransientError):
            await stream.append([Message("key", b"2")])
        with pytest.raises(TransientError):
            await stream.check()
        began = time.monotonic()
    await stream.close()
    assert time.monotonic() - began < 6
    kafka.start()
    async with asyncio.timeout(10):
        while left := asyncio.all_tasks() - before:
            await asyncio.wait(left)


async def test_a_killed_broker_loses_nothing_acknowledged_and_doubles_nothing(
    kafka: KafkaBroker,
) -> None:
    returned: list[int] = []
    raised: list[int] = []
    numbers = iter(range(10**9))
    busy, down, back = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def write(stream: KafkaStream, key: str) -> None:
        after = 0
        while after < 25:
            number = next(numbers)
            try:
                await stream.append([Message(key, str(number).encode())])
            except TransientError:
                raised.append(number)
                down.set()
            else:
                returned.append(number)
                after += back.is_set()
                if len(returned) == 200:
                    busy.set()

    async def crash() -> None:
        await busy.wait()
        kafka.kill()
        await down.wait()
        kafka.start()  # not in a thread: the broker ends with the thread that started it
        back.set()

    async with asyncio.timeout(90), opened(config(kafka, deadline_s=3)) as stream:
        async with asyncio.TaskGroup() as group:
            group.create_task(crash())
            for writer in range(8):
                group.create_task(write(stream, f"writer-{writer}"))
        found = await all_records(stream)
    counts = Counter(int(record.value) for record in found)
    assert set(counts.values()) == {1}
    assert set(returned) <= set(counts) <= {*returned, *raised}
    for key in {record.key for record in found}:
        of_key = [int(record.value) for record in found if record.key == key]
        assert of_key == sorted(of_key)
