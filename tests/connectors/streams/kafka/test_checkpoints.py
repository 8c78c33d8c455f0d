"""Copies of checkpoints in a topic: kept for ever, for any consumer, made good after a fault."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from connectors.streams.kafka import KafkaCheckpoints, KafkaConfig
from connectors.streams.kafka.cluster import Cluster
from connectors.streams.kafka.topics import Topic
from connectors.streams.kafka.writer import TopicWriter
from engine.core import events
from engine.core.audit_export import entry_line, read_copies, verify_export
from engine.core.journal import NewEntry
from engine.errors import TransientError
from engine.ports.stream import Message
from engine.stages.checkpoints import CHECKPOINT_EVERY, CheckpointStage, schedule_checkpoints
from tests.doubles.journals import JournalDouble, KeyDouble, knowing
from tests.doubles.world import LEASE_S, World
from tests.services.kafka import KafkaBroker

KEY = KeyDouble()


def config(kafka: KafkaBroker, **changes: Any) -> KafkaConfig:
    defaults = {
        "bootstrap_servers": (kafka.bootstrap,),
        "topic_prefix": f"checkpoints-{uuid4().hex}.",
        "replication_factor": 1,
    }
    return KafkaConfig(**(defaults | changes))


@pytest.fixture
def settings(kafka: KafkaBroker) -> KafkaConfig:
    return config(kafka)


@pytest.fixture
async def copy(settings: KafkaConfig) -> AsyncIterator[KafkaCheckpoints]:
    made = KafkaCheckpoints(settings)
    yield made
    await made.close()


def lines(count: int, chains: int = 1) -> list[bytes]:
    """Copies of checkpoints over so many chains each; checkpoint n is system entry n."""
    journal = JournalDouble()
    for number in range(count):
        for chain in range(chains):
            note = events.IncidentAcknowledged(note=str(number))
            journal.append(f"incident/{chain:06}", note)
        journal.checkpointed["system"] = 10_000
        journal.checkpoint()
    return [entry_line(entry) for entry in journal.checkpoints()]


def consumed(kafka: KafkaBroker, settings: KafkaConfig) -> list[bytes]:
    """What Kafka's own consumer prints of the topic, line by line."""
    topic = f"{settings.topic_prefix}checkpoints"
    ends = kafka.tool("org.apache.kafka.tools.GetOffsetShell", "--topic", topic).splitlines()
    (end,) = (line.rpartition(":")[2] for line in ends if line.startswith(topic))
    printed = kafka.tool(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        *("--topic", topic, "--from-beginning"),
        *("--max-messages", end, "--timeout-ms", "60000"),
    )
    return [line.encode() for line in printed.splitlines(keepends=True) if line.startswith("{")]


async def test_what_was_appended_is_printed_line_by_line(
    kafka: KafkaBroker, settings: KafkaConfig, copy: KafkaCheckpoints
) -> None:
    one, two, three = lines(3)
    assert await copy.last_seq() == 0
    await copy.append(one)
    assert await copy.last_seq() == 1
    await copy.append(two + three)
    assert await copy.last_seq() == 3
    assert consumed(kafka, settings) == [one, two, three]
    assert copy.name == f"kafka/{settings.topic_prefix}checkpoints"


async def test_the_topic_keeps_everything_in_one_partition(
    kafka: KafkaBroker, settings: KafkaConfig, copy: KafkaCheckpoints
) -> None:
    await copy.last_seq()
    described = kafka.tool(
        *("org.apache.kafka.tools.TopicCommand", "--describe"),
        *("--topic", f"{settings.topic_prefix}checkpoints"),
    )
    assert "PartitionCount: 1" in described
    for setting in ("cleanup.policy=delete", "retention.ms=-1", "retention.bytes=-1"):
        assert setting in described


async def test_a_checkpoint_over_many_chains_fits_whatever_alerts_may_have(
    kafka: KafkaBroker,
) -> None:
    copy = KafkaCheckpoints(config(kafka, max_record_bytes=2000))
    (large,) = lines(1, chains=5000)
    assert len(large) > 400_000
    await copy.append(large)
    assert await copy.last_seq() == 1
    await copy.close()


async def test_what_strangers_wrote_is_passed_over(
    settings: KafkaConfig, copy: KafkaCheckpoints
) -> None:
    one, two = lines(2)
    await copy.append(one + two)
    topic = Topic(f"{settings.topic_prefix}checkpoints", 1, 1000)
    stranger = TopicWriter(Cluster(settings), topic)
    await stranger.append([Message("key", b"noise") for _ in range(30)])
    await stranger.close()
    assert await copy.last_seq() == 2


async def test_a_topic_with_nothing_of_ours_begins_anew(
    settings: KafkaConfig, copy: KafkaCheckpoints
) -> None:
    topic = Topic(f"{settings.topic_prefix}checkpoints", 1, 1000)
    stranger = TopicWriter(Cluster(settings), topic)
    await stranger.append([Message("key", b"noise") for _ in range(30)])
    await stranger.close()
    assert await copy.last_seq() == 0


async def test_two_processes_copy_to_one_topic_and_know_of_each_other(
    settings: KafkaConfig, copy: KafkaCheckpoints
) -> None:
    one, two = lines(2)
    other = KafkaCheckpoints(settings)
    await copy.append(one)
    await other.append(two)
    assert (await copy.last_seq(), await other.last_seq()) == (2, 2)
    await other.close()


async def minute(world: World, stage: CheckpointStage, note: str) -> None:
    """Something is journaled, and a minute later the task is executed."""
    new = [NewEntry(events.IncidentAcknowledged(note=note), world.clock.now())]
    await world.store.write(lambda tx: tx.append("incident/a", new))
    world.clock.advance(CHECKPOINT_EVERY.total_seconds())
    task = await world.store.write(lambda tx: tx.claim_task("w", LEASE_S, ["checkpoint"]))
    assert task is not None
    await stage.sign(task)


async def test_copies_of_an_outage_are_made_good_and_verify_an_export(
    kafka: KafkaBroker, world: World
) -> None:
    settings = config(kafka, deadline_s=2)
    copy = KafkaCheckpoints(settings)
    stage = CheckpointStage(world.store, KEY, [copy], world.metrics)
    await world.store.write(schedule_checkpoints)
    await minute(world, stage, "one")
    yesterday = [line async for line in world.queries.export_audit()]
    kafka.kill()
    try:
        await minute(world, stage, "two")
        failed = world.metrics.checkpoint_copy_failures.labels(copy=copy.name)
        assert failed._value.get() >= 1
        assert "checkpoint_copy_failed" in [each["event"] for each in world.logs]
        with pytest.raises(TransientError):
            await copy.last_seq()
    finally:
        kafka.start()
    async with asyncio.timeout(60):
        while await last_seq(copy) < 2:
            await minute(world, stage, "later")
    held, _ = read_copies(consumed(kafka, settings))
    assert [each.seq for each in held] == sorted(each.seq for each in held)
    export = [line async for line in world.queries.export_audit()]
    outcome = verify_export(export, knowing(KEY), held)
    assert (outcome.faults, outcome.uncovered) == ((), 0)

    # The database set back to an earlier day is sound by itself: the topic knows better.
    assert verify_export(yesterday, knowing(KEY)).faults == ()
    assert verify_export(yesterday, knowing(KEY), held).faults
    await copy.close()


async def last_seq(copy: KafkaCheckpoints) -> int:
    try:
        return await copy.last_seq()
    except TransientError:
        return 0


async def test_a_copy_that_is_there_twice_is_harmless(
    kafka: KafkaBroker, settings: KafkaConfig, world: World, copy: KafkaCheckpoints
) -> None:
    """Two processes may copy the same checkpoint when one of them was slow."""
    stage = CheckpointStage(world.store, KEY, [copy], world.metrics)
    await world.store.write(schedule_checkpoints)
    await minute(world, stage, "one")
    await minute(world, stage, "two")
    (one, two) = consumed(kafka, settings)
    await copy.append(one + two + one)
    assert await copy.last_seq() == read_copies([one])[0][0].seq
    await minute(world, stage, "three")
    held, notes = read_copies(consumed(kafka, settings))
    assert (len(held), notes) == (7, [])
    export = [line async for line in world.queries.export_audit()]
    outcome = verify_export(export, knowing(KEY), held)
    assert (outcome.faults, outcome.notes, outcome.verified) == ((), (), 3)
    changed = [replace(each, body=b"{}") for each in held]
    assert verify_export(export, knowing(KEY), changed).faults
