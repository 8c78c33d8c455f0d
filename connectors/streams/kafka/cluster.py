"""What Kafka's clients share: the settings, topics that are made, and errors in our terms."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from connectors.streams.kafka.security import KafkaSecurity, OAuthSasl, Section, credentials
from connectors.streams.kafka.tokens import ClientCredentials
from connectors.streams.kafka.topics import FoundTopic, Topic, find_topic
from engine.core.durations import parse_duration
from engine.errors import ConfigError, PermanentError, TransientError

if TYPE_CHECKING:
    from aiokafka.admin import AIOKafkaAdminClient

# What Kafka adds to a record and the batch around it; measured 61 + 21 B, rounded up.
RECORD_OVERHEAD_BYTES = 512
# A changed number of partitions is seen no later.
METADATA_MAX_AGE_MS = 60_000
TOPIC_POLL_S = 0.05


def _is_a_duration(text: str) -> str:
    parse_duration(text)
    return text


class IncidentTopic(Section):
    """The topic from which others follow incidents."""

    publish: bool = True
    partitions: int = Field(default=6, ge=1, le=10_000)
    """Of a topic that is made; one that is there may have any number."""


class KafkaConfig(BaseModel):
    """Where the brokers are, how they are reached, and what the topic is like."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    bootstrap_servers: Annotated[tuple[str, ...], Field(min_length=1)]
    security: KafkaSecurity = KafkaSecurity()
    topic_prefix: str = Field(default="quell.", pattern=r"^[a-zA-Z0-9._-]{0,200}$")
    group_id: str = Field(default="quell", min_length=1)
    create_topics: bool = True
    partitions: int = Field(default=12, ge=1, le=10_000)
    """How many the topic has. Another number found is refused: keys would move between them."""
    replication_factor: int = Field(default=3, ge=1, le=100)
    max_record_bytes: int = Field(default=1_048_000, ge=1024, le=64 * 1024 * 1024)
    """Key and value together; an existing topic's max.message.bytes has to be 512 B above it."""
    retention: Annotated[str, AfterValidator(_is_a_duration)] = "7d"
    """Of a topic that is made: how long a record stays, decided on or not."""
    linger_ms: int = Field(default=2, ge=0, le=100)
    deadline_s: float = Field(default=10.0, gt=0, le=300)
    """By when an append, a check or a look-up is answered, and what closing may take."""
    session_timeout_s: float = Field(default=10.0, gt=0, le=300)
    """After this long without a heartbeat (a killed process), others get its partitions."""
    max_poll_interval_s: float = Field(default=300.0, gt=0, le=3600)
    """After this long with one batch (a stuck process), others get its partitions."""
    incidents: IncidentTopic = IncidentTopic()

    @property
    def topic(self) -> str:
        """The topic of the alerts and ticks."""
        return f"{self.topic_prefix}alerts"

    @property
    def servers(self) -> str:
        """For messages."""
        return ",".join(self.bootstrap_servers)


class Cluster:
    """What all clients of one cluster share."""

    def __init__(self, config: KafkaConfig) -> None:
        self.config = config
        sasl = config.security.sasl
        self._tokens = ClientCredentials(sasl) if isinstance(sasl, OAuthSasl) else None

    async def client_settings(self) -> dict[str, Any]:
        """What every client is made with. Raises TransientError while a file can't be used."""
        return {
            "bootstrap_servers": list(self.config.bootstrap_servers),
            "client_id": "quell",
            "metadata_max_age_ms": METADATA_MAX_AGE_MS,
            # In a thread: reading the system's authorities takes a while.
            **await asyncio.to_thread(credentials, self.config.security, self._tokens),
        }

    async def verify_topic(self, topic: Topic) -> FoundTopic:
        """Like `ensure_topic`; also raises ConfigError where the number of partitions is wrong."""
        found = await self.ensure_topic(topic)
        if topic.is_fixed and found.partitions != topic.partitions:
            raise ConfigError(other_count(topic, found.partitions))
        return found

    async def ensure_topic(self, topic: Topic) -> FoundTopic:
        """Find it, or create it where it is absent and that is allowed. Raises ConfigError."""
        from aiokafka.admin import AIOKafkaAdminClient

        admin = AIOKafkaAdminClient(**await self.client_settings())
        try:
            await admin.start()
            found = await find_topic(admin._client, topic.name)
            if found is None:
                await self._create(admin, topic)
            while found is None:
                await asyncio.sleep(TOPIC_POLL_S)  # until the broker that answers knows it too
                found = await find_topic(admin._client, topic.name)
            return found
        finally:
            await admin.close()

    @asynccontextmanager
    async def bounded(self, what: str, *, at_start: bool = False) -> AsyncIterator[None]:
        """Within the deadline, in quell's errors.

        What is wrong with a topic raises ConfigError `at_start`. While quell runs it is waited for
        like a broker that is away: senders keep their alerts until someone sets it right.
        """
        where = f"{what} on Kafka at {self.config.servers}"
        try:
            with quells_errors(where):
                async with asyncio.timeout(self.config.deadline_s):
                    yield
        except TimeoutError as error:
            raise TransientError(f"{where} not done within {self.config.deadline_s:g} s") from error
        except ConfigError as error:
            if at_start:
                raise
            raise TransientError(f"{where}: {error}") from error

    async def _create(self, admin: "AIOKafkaAdminClient", topic: Topic) -> None:
        from aiokafka.admin import NewTopic
        from aiokafka.errors import NoError, TopicAlreadyExistsError, for_code

        config = self.config
        count = f"{topic.partitions} partition{'s' if topic.partitions != 1 else ''}"
        if not config.create_topics:
            raise ConfigError(
                f"Kafka topic {topic.name!r} is absent, or quell may not see it, and create_topics "
                f"is off: create it with {count}"
            )
        settings = {
            "min.insync.replicas": str(min(2, config.replication_factor)),
            "max.message.bytes": str(topic.max_record_bytes + RECORD_OVERHEAD_BYTES),
            # By a sender's clock that is wrong, brokers refuse records or drop them too early.
            "message.timestamp.type": "LogAppendTime",
            **topic.settings,
        }
        new = NewTopic(
            topic.name, topic.partitions, config.replication_factor, topic_configs=settings
        )
        answer = await admin.create_topics([new])
        _, code, message = answer.topic_errors[0]
        error = for_code(code)
        if error in (NoError, TopicAlreadyExistsError):
            return
        if error.retriable:
            raise TransientError(f"Kafka topic {topic.name!r} not created: {error.__name__}")
        raise ConfigError(
            f"Kafka topic {topic.name!r} with {count} and replication_factor "
            f"{config.replication_factor} refused: {message or error.__name__}"
        )


def other_count(topic: Topic, found: int) -> str:
    """What to say about a topic with another number of partitions than configured."""
    return (
        f"Kafka topic {topic.name!r} has {found} partitions and the configuration says "
        f"{topic.partitions}; with another number, keys move between partitions and lose their "
        f"order: make the topic with {topic.partitions}, or drain it and set partitions to {found}"
    )


@contextmanager
def quells_errors(what: str) -> Iterator[None]:
    """PermanentError for a record that is too large, TransientError for all else of Kafka's.

    A missing permission is transient too: senders keep the alerts until someone grants it.
    """
    from aiokafka.errors import (
        KafkaError,
        MessageSizeTooLargeError,
        RecordListTooLargeError,
        RecordTooLargeError,
    )

    try:
        yield
    except (MessageSizeTooLargeError, RecordListTooLargeError, RecordTooLargeError) as error:
        raise PermanentError(
            f"{what}: a record is too large for the topic: raise its max.message.bytes to 512 B "
            f"above max_record_bytes ({error})"
        ) from error
    except KafkaError as error:
        raise TransientError(f"{what}: {error}") from error
