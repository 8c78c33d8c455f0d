"""What brokers say of a topic, its id above all."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from connectors.streams.kafka.topics import FoundTopic, find_topic
from tests.services.kafka import KafkaBroker
from tests.services.process import free_port


@pytest.fixture
async def client(kafka: KafkaBroker) -> AsyncIterator[AIOKafkaClient]:
    client = AIOKafkaClient(bootstrap_servers=kafka.bootstrap)
    await client.bootstrap()
    yield client
    await client.close()


def printed(kafka: KafkaBroker, *options: str) -> str:
    return kafka.tool("org.apache.kafka.tools.TopicCommand", *options)


async def test_a_topic_is_found_with_the_id_that_kafkas_own_tools_print(
    kafka: KafkaBroker, client: AIOKafkaClient
) -> None:
    name = f"topics-{uuid4().hex}"
    await kafka.create_topic(name, 3)
    found = await find_topic(client, name)
    assert found is not None
    assert found.partitions == 3
    assert f"TopicId: {found.id}\t" in printed(kafka, "--describe", "--topic", name)


async def test_a_topic_that_is_made_anew_has_another_id(
    kafka: KafkaBroker, client: AIOKafkaClient
) -> None:
    name = f"topics-{uuid4().hex}"
    found = []
    for _ in range(2):
        await kafka.create_topic(name)
        found.append(await find_topic(client, name))
        await kafka.delete_topic(name)
    assert found[0] is not None
    assert found[0] != found[1]


async def test_an_absent_topic_is_not_made_by_asking(
    kafka: KafkaBroker, client: AIOKafkaClient
) -> None:
    name = f"topics-{uuid4().hex}"
    assert await find_topic(client, name) is None
    assert name not in printed(kafka, "--list")


async def test_a_broker_that_cannot_tell_ids_is_asked_as_it_understands(
    kafka: KafkaBroker, client: AIOKafkaClient
) -> None:
    """Kafka before 2.8: its newest Metadata request has no id in its answer."""
    name = f"topics-{uuid4().hex}"
    await kafka.create_topic(name, 2)
    connection = await client._get_conn(client.get_random_node())
    connection._versions[3] = (0, 9)
    assert await find_topic(client, name) == FoundTopic(2, "")
    assert await find_topic(client, f"{name}-absent") is None


async def test_nobody_who_answers_is_an_error_of_kafkas() -> None:
    client = AIOKafkaClient(bootstrap_servers=f"127.0.0.1:{free_port()}")
    with pytest.raises(KafkaError):
        await find_topic(client, "any")
