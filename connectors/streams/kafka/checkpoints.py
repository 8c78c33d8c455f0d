"""Copies of the journal's checkpoints in a topic that keeps them for ever."""

from typing_extensions import override

from connectors.streams.kafka.cluster import Cluster, KafkaConfig
from connectors.streams.kafka.reader import TopicReader
from connectors.streams.kafka.topics import Topic
from connectors.streams.kafka.writer import TopicWriter
from engine.core.audit_export import read_copies
from engine.ports.signer import CheckpointCopy
from engine.ports.stream import Message

# The longest checkpoint, over 5,000 chains, has some 800 KB, whatever alerts may have.
MAX_RECORD_BYTES = 1_048_000
KEY = "checkpoint"
# Records at the topic's end that are looked at for the newest copy; strangers' may lie behind it.
_FIRST_WINDOW = 4


class KafkaCheckpoints(CheckpointCopy):
    """A line a record, without its line feed, which a consumer that prints records adds."""

    def __init__(self, config: KafkaConfig) -> None:
        topic = Topic(
            f"{config.topic_prefix}checkpoints",
            1,
            max(config.max_record_bytes, MAX_RECORD_BYTES),
            settings={"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"},
            is_fixed=True,  # else the order would be lost
        )
        cluster = Cluster(config)
        self._topic = topic
        self._writer, self._reader = TopicWriter(cluster, topic), TopicReader(cluster, topic)

    @property
    @override
    def name(self) -> str:
        return f"kafka/{self._topic.name}"

    @override
    async def last_seq(self) -> int:
        seen = await self._reader.look()
        first, end, window = seen.first[0], seen.end[0], _FIRST_WINDOW
        while first < end:
            start = max(first, end - window)
            values = await self._reader.values(0, start, end)
            copies, _ = read_copies(value + b"\n" for value in values)
            if copies:
                return copies[-1].seq
            if start == first:
                break
            window *= 4
        return 0

    @override
    async def append(self, lines: bytes) -> None:
        await self._writer.append([Message(KEY, line) for line in lines.splitlines()])

    @override
    async def close(self) -> None:
        await self._writer.close()
        await self._reader.close()
