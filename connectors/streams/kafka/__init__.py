"""The stream on Kafka, and what else its brokers keep; aiokafka is imported where it is used.

Positions are kept by the store alone: the group's committed offsets are never written or read.
"""

from connectors.streams.kafka.checkpoints import KafkaCheckpoints
from connectors.streams.kafka.cluster import KafkaConfig
from connectors.streams.kafka.publisher import incident_publisher
from connectors.streams.kafka.stream import KafkaStream

__all__ = ["KafkaCheckpoints", "KafkaConfig", "KafkaStream", "incident_publisher"]
