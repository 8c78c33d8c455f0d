"""What a topic is to be like, and what the brokers say that it is."""

import base64
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiokafka import AIOKafkaClient

# Brokers before Kafka 2.8, and clusters on their way up from there, give every topic this id.
_NO_ID = bytes(16)


@dataclass(frozen=True, slots=True)
class Topic:
    """One of quell's topics. `settings` are those of a topic that quell makes itself.

    Each record gets `headers`. `is_fixed`: with another number of partitions keys would move, so
    that is refused.
    """

    name: str
    partitions: int
    max_record_bytes: int
    settings: Mapping[str, str] = field(default_factory=dict)
    headers: Sequence[tuple[str, bytes]] = ()
    is_fixed: bool = False


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """A topic that is there. `id` is as Kafka's own tools print it, "" where brokers can't tell."""

    partitions: int
    id: str


async def find_topic(client: "AIOKafkaClient", name: str) -> FoundTopic | None:
    """Ask the brokers; None where it is absent or quell may not see it. It isn't created.

    Raises aiokafka's errors when no broker answers, or the topic is just being made.
    """
    from aiokafka.errors import (
        KafkaError,
        NodeNotReadyError,
        NoError,
        TopicAuthorizationFailedError,
        UnknownTopicOrPartitionError,
        for_code,
    )

    nodes = [broker.nodeId for broker in client.cluster.brokers()]
    random.shuffle(nodes)
    failed: KafkaError = NodeNotReadyError("no broker is known")
    for node in nodes:
        try:
            answer = await client.send(node, _request()(name))
        except KafkaError as error:
            failed = error
            continue
        code, partitions, topic_id = _told_of(answer)
        error_type = for_code(code)
        if error_type in (UnknownTopicOrPartitionError, TopicAuthorizationFailedError):
            return None
        if error_type is not NoError:
            raise error_type(name)
        return FoundTopic(len(partitions), _printed(topic_id))
    raise failed


def _told_of(answer: Any) -> tuple[int, Sequence[Any], bytes]:
    """Error code, partitions and id of the one topic that was asked about."""
    (told,) = answer.topics
    if answer.API_VERSION < _WITH_ID:
        code, _, _, partitions = told
        return code, partitions, _NO_ID
    code, _, topic_id, _, partitions, *_ = told
    return code, partitions, topic_id


def _printed(topic_id: bytes) -> str:
    return "" if topic_id == _NO_ID else base64.urlsafe_b64encode(topic_id).decode().rstrip("=")


# The first version of the request that tells ids; aiokafka knows those up to 5.
_WITH_ID = 10


@cache
def _request() -> Any:
    """A class of Metadata requests about one topic, as each broker understands it."""
    from aiokafka.protocol.api import Request
    from aiokafka.protocol.metadata import MetadataRequest_v5

    question = _question()

    class AboutTopic(Request[MetadataRequest_v5 | question]):  # type: ignore[misc]
        API_KEY = question.API_KEY

        def __init__(self, name: str) -> None:
            self._name = name

        def build(self, version: Any) -> Any:
            if version is not question:
                return version(topics=[self._name], allow_auto_topic_creation=False)
            return question(
                topics=[(_NO_ID, self._name, {})],
                allow_auto_topic_creation=False,
                include_cluster_authorized_operations=False,
                include_topic_authorized_operations=False,
                tags={},
            )

    return AboutTopic


def _question() -> Any:
    """Metadata request and response, version 10.

    Source: https://kafka.apache.org/protocol#The_Messages_Metadata
    """
    from aiokafka.protocol import api, types
    from aiokafka.protocol.abstract import AbstractType
    from aiokafka.protocol.types import Boolean, CompactArray, Int16, Int32

    class Uuid(AbstractType):  # type: ignore[misc]  # aiokafka has no types
        @classmethod
        def encode(cls, value: bytes) -> bytes:
            return value

        @classmethod
        def decode(cls, data: BytesIO) -> bytes:
            return data.read(len(_NO_ID))

    text, tags = types.CompactString(), ("tags", types.TaggedFields)
    partition = (
        *(("error_code", Int16), ("partition", Int32), ("leader", Int32), ("leader_epoch", Int32)),
        *((name, CompactArray(Int32)) for name in ("replicas", "isr", "offline_replicas")),
        tags,
    )
    topic = (
        *(("error_code", Int16), ("name", text), ("topic_id", Uuid), ("is_internal", Boolean)),
        *(("partitions", CompactArray(*partition)), ("authorized_operations", Int32), tags),
    )
    broker = (("node_id", Int32), ("host", text), ("port", Int32), ("rack", text), tags)

    class Answer(api.Response):  # type: ignore[misc]  # aiokafka has no types
        API_KEY, API_VERSION = 3, _WITH_ID
        SCHEMA = types.Schema(
            *(("throttle_time_ms", Int32), ("brokers", CompactArray(*broker))),
            *(("cluster_id", text), ("controller_id", Int32), ("topics", CompactArray(*topic))),
            *(("authorized_operations", Int32), tags),
        )

    class Question(api.RequestStruct):  # type: ignore[misc]  # aiokafka has no types
        API_KEY, API_VERSION, FLEXIBLE_VERSION, RESPONSE_TYPE = 3, _WITH_ID, True, Answer
        SCHEMA = types.Schema(
            ("topics", CompactArray(("topic_id", Uuid), ("name", text), tags)),
            ("allow_auto_topic_creation", Boolean),
            ("include_cluster_authorized_operations", Boolean),
            ("include_topic_authorized_operations", Boolean),
            tags,
        )

    return Question
