import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from connectors.streams.kafka import KafkaConfig, KafkaStream
from connectors.streams.kafka.cluster import Cluster
from connectors.streams.kafka.topics import Topic
from engine.errors import ConfigError, TransientError
from engine.ports.stream import Message
from tests.services.kafka import KafkaBroker
from tests.services.process import free_port


def config(kafka: KafkaBroker, **changes: Any) -> KafkaConfig:
    defaults = {
        "bootstrap_servers": (kafka.bootstrap,),
        "topic_prefix": f"cluster-{uuid4().hex}.",
        "partitions": 3,
        "replication_factor": 1,
    }
    return KafkaConfig(**(defaults | changes))


def test_the_topic_of_the_design_is_the_default() -> None:
    assert KafkaConfig(bootstrap_servers=("kafka:9092",)).topic == "quell.alerts"


@pytest.mark.parametrize(
    "wrong",
    [
        {"bootstrap_servers": ()},
        {"topic_prefix": "with space "},
        {"partitions": 0},
        {"deadline_s": 0},
        {"linger_ms": 5000},
        {"retention": "7 days"},
        {"acks": "1"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_wrong_setting_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KafkaConfig(**({"bootstrap_servers": ("kafka:9092",)} | wrong))


async def test_an_absent_topic_is_created_and_then_found(kafka: KafkaBroker) -> None:
    settings = config(kafka)
    topic = Topic(settings.topic, 3, 1000)
    made = await Cluster(settings).verify_topic(topic)
    found = await Cluster(settings.model_copy(update={"create_topics": False})).verify_topic(topic)
    assert made == found
    assert found.partitions == 3


async def test_a_topic_is_made_with_its_settings_and_those_of_all(kafka: KafkaBroker) -> None:
    settings = config(kafka)
    topic = Topic(settings.topic, 1, 5000, {"cleanup.policy": "compact"})
    await Cluster(settings).verify_topic(topic)
    described = kafka.tool(
        "org.apache.kafka.tools.TopicCommand", "--describe", "--topic", topic.name
    )
    for setting in ("cleanup.policy=compact", "max.message.bytes=5512", "min.insync.replicas=1"):
        assert setting in described


@pytest.mark.parametrize("hours", [4, -24 * 30])
async def test_a_sender_whose_clock_is_wrong_dates_no_record(
    kafka: KafkaBroker, hours: int
) -> None:
    from aiokafka import AIOKafkaProducer

    settings = config(kafka)
    await Cluster(settings).verify_topic(Topic(settings.topic, 1, 1000))
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    try:
        now_ms = time.time() * 1000
        wrong_ms = round(now_ms + hours * 3_600_000)
        kept = await producer.send_and_wait(settings.topic, b"one", timestamp_ms=wrong_ms)
    finally:
        await producer.stop()
    assert abs(kept.timestamp - now_ms) < 60_000


async def test_a_topic_that_is_not_fixed_may_have_any_number_of_partitions(
    kafka: KafkaBroker,
) -> None:
    settings = config(kafka)
    await kafka.create_topic(settings.topic, partitions=5)
    cluster, topic = Cluster(settings), Topic(settings.topic, 3, 1000)
    assert (await cluster.verify_topic(topic)).partitions == 5
    with pytest.raises(ConfigError, match="has 5 partitions"):
        await cluster.verify_topic(replace(topic, is_fixed=True))


async def test_a_topic_that_is_made_keeps_records_for_the_retention(kafka: KafkaBroker) -> None:
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    settings = config(kafka, retention="3d12h")
    stream = KafkaStream(settings)
    await stream.open()
    await stream.close()
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        topic = ConfigResource(ConfigResourceType.TOPIC, settings.topic)
        (answer,) = await admin.describe_configs([topic])
    finally:
        await admin.close()
    found = {entry[0]: entry[1] for entry in answer.resources[0][4]}
    assert found["retention.ms"] == str(84 * 3600 * 1000)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"create_topics": False}, "create it with 3 partitions"),
        ({"replication_factor": 3}, "replication_factor 3"),
    ],
    ids=["may-not-create", "too-few-brokers"],
)
async def test_a_topic_that_cannot_be_had_is_a_mistake_of_the_configuration(
    kafka: KafkaBroker, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        await KafkaStream(config(kafka, **changes)).open()


async def test_another_number_of_partitions_is_refused(kafka: KafkaBroker) -> None:
    settings = config(kafka)
    await kafka.create_topic(settings.topic, partitions=5)
    with pytest.raises(ConfigError, match=r"has 5 partitions and the configuration says 3"):
        await KafkaStream(settings).open()


async def test_what_is_wrong_with_a_topic_while_quell_runs_is_waited_for(
    kafka: KafkaBroker,
) -> None:
    """Senders keep their alerts: no 4xx for what an operator will set right."""
    stream = KafkaStream(config(kafka, create_topics=False))
    for use in (stream.append([Message("key", b"value")]), stream.check(), stream.end_offsets()):
        with pytest.raises(TransientError, match="create it with 3 partitions"):
            await use
    with pytest.raises(TransientError, match="create it with 3 partitions"):
        async with stream.subscribe(nothing_stored, max_records=1):
            pass
    await stream.close()


async def nothing_stored(partitions: Sequence[int]) -> Mapping[int, int]:
    return dict.fromkeys(partitions, 0)


async def test_an_absent_broker_is_transient() -> None:
    nobody = KafkaConfig(bootstrap_servers=(f"127.0.0.1:{free_port()}",))
    with pytest.raises(TransientError, match="Unable to bootstrap"):
        await KafkaStream(nobody).open()
