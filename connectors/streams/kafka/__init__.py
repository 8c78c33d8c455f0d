"""The stream on Kafka; aiokafka is imported where it is used.

Positions are kept by the store alone: the group's committed offsets are never written or read.
"""

from connectors.streams.kafka.cluster import KafkaConfig
from connectors.streams.kafka.stream import KafkaStream

__all__ = ["KafkaConfig", "KafkaStream"]
