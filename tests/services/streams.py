"""The stream as each implementation, Kafka on a real broker; one log of its own for a test."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import pytest

from connectors.streams.kafka import KafkaConfig, KafkaStream
from engine.ports.stream import Batch, ReadableStream
from engine.store.embedded_stream import EmbeddedStream
from tests.services.kafka import KafkaBroker

PARTITIONS = 4


class Log(Protocol):
    """One log of its own for a test, and the streams over it."""

    def opened(self) -> AbstractAsyncContextManager[ReadableStream]: ...

    @property
    def construction(self) -> str:
        """Python that defines `opened` for another process."""
        ...


@dataclass(frozen=True)
class KafkaLog:
    config: KafkaConfig

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[ReadableStream]:
        stream = KafkaStream(self.config)
        await stream.open()
        try:
            yield stream
        finally:
            await stream.close()

    @property
    def construction(self) -> str:
        return f"""
from connectors.streams.kafka import KafkaConfig, KafkaStream
stream = KafkaStream(KafkaConfig.model_validate_json({self.config.model_dump_json()!r}))
"""


@dataclass(frozen=True)
class EmbeddedLog:
    path: Path

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[ReadableStream]:
        stream = EmbeddedStream(self.path, partitions=PARTITIONS)
        await stream.open()
        try:
            yield stream
        finally:
            await stream.close()

    @property
    def construction(self) -> str:
        return f"""
from pathlib import Path
from engine.store.embedded_stream import EmbeddedStream
stream = EmbeddedStream(Path({str(self.path)!r}), partitions={PARTITIONS})
"""


@dataclass
class StoredPositions:
    """The store's side: where each partition goes on, and which must not be read."""

    offsets: dict[int, int] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)

    async def __call__(self, partitions: Sequence[int]) -> Mapping[int, int]:
        return {each: self.offsets.get(each, 0) for each in partitions if each not in self.refused}

    def commit(self, batch: Batch) -> None:
        self.offsets[batch.partition] = batch.next_offset


@pytest.fixture
def kafka_log(kafka: KafkaBroker) -> KafkaLog:
    unique = f"contract-{uuid4().hex}"
    return KafkaLog(
        KafkaConfig(
            bootstrap_servers=(kafka.bootstrap,),
            topic_prefix=f"{unique}.",
            group_id=unique,
            partitions=PARTITIONS,
            replication_factor=1,
            deadline_s=20,
        )
    )


@pytest.fixture
def embedded_log(tmp_path: Path) -> EmbeddedLog:
    return EmbeddedLog(tmp_path / "stream.db")


@pytest.fixture(params=["embedded", "kafka"])
def log(request: pytest.FixtureRequest) -> Log:
    made: Log = request.getfixturevalue(f"{request.param}_log")
    return made


@pytest.fixture
async def stream(log: Log) -> AsyncIterator[ReadableStream]:
    async with log.opened() as opened:
        yield opened
