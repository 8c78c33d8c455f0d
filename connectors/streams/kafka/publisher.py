"""Incidents for others to follow: a compacted topic with the newest state of each."""

from typing_extensions import override

from connectors.streams.kafka.cluster import Cluster, KafkaConfig
from connectors.streams.kafka.topics import Topic
from connectors.streams.kafka.writer import TopicWriter
from engine.errors import ConfigError, TransientError
from engine.ports.publisher import Publisher
from engine.ports.stream import Message

# How Kafka's consumers tell a CloudEvent in its structured mode, by
# https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
HEADERS = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)


def incident_publisher(config: KafkaConfig) -> Publisher | None:
    """None where nobody follows incidents."""
    return KafkaPublisher(config) if config.incidents.publish else None


class KafkaPublisher(Publisher):
    """Keyed by the incident's id, so that its states stay in order in one partition."""

    def __init__(self, config: KafkaConfig) -> None:
        self._topic = Topic(
            f"{config.topic_prefix}incidents",
            config.incidents.partitions,
            config.max_record_bytes,
            settings={"cleanup.policy": "compact"},
            headers=HEADERS,
        )
        self._writer = TopicWriter(Cluster(config), self._topic)

    @property
    @override
    def name(self) -> str:
        return self._topic.name

    @override
    async def open(self) -> None:
        """Find the topic, or make it where it is absent and that is allowed."""
        try:
            await self._writer.connect()
        except ConfigError as error:
            raise ConfigError(
                f"{error}. Without others who follow incidents, set stream.incidents.publish to "
                "false"
            ) from None

    @override
    async def publish(self, message: Message) -> None:
        try:
            await self._writer.append([message])
        except TransientError:
            # Another process may publish a newer state before this one would get through.
            await self._writer.abandon()
            raise

    @override
    async def close(self) -> None:
        await self._writer.close()
