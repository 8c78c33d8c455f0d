"""What Kafka's producers and consumers share: the settings, the topic, and errors in our terms."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from connectors.streams.kafka.security import KafkaSecurity, OAuthSasl, credentials
from connectors.streams.kafka.tokens import ClientCredentials
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

    @property
    def topic(self) -> str:
        """The topic of the alerts and ticks."""
        return f"{self.topic_prefix}alerts"


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

    async def verify_topic(self) -> None:
        """Find the topic as configured, or create it where it is absent and that is allowed.

        Raises ConfigError when it isn't there, can't be made so, or has another number of
        partitions.
        """
        from aiokafka.admin import AIOKafkaAdminClient

        config = self.config
        admin = AIOKafkaAdminClient(**await self.client_settings())
        try:
            await admin.start()
            found = await _partition_count(admin, config.topic)
            if found == 0:
                await _create_topic(admin, config)
            while found == 0:
                await asyncio.sleep(TOPIC_POLL_S)  # until the broker that answers knows it too
                found = await _partition_count(admin, config.topic)
        finally:
            await admin.close()
        if found != config.partitions:
            raise ConfigError(other_count(config, found))


def other_count(config: KafkaConfig, found: int) -> str:
    """What to say about a topic with another number of partitions than configured."""
    return (
        f"Kafka topic {config.topic!r} has {found} partitions and the configuration says "
        f"{config.partitions}; with another number, keys move between partitions and lose their "
        f"order: drain the topic, then set partitions to {found}"
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


async def _partition_count(admin: "AIOKafkaAdminClient", topic: str) -> int:
    """0 where the topic is absent. Asking for one topic by name could create it."""
    for found in await admin.describe_topics():
        if found["topic"] == topic:
            return len(found["partitions"])
    return 0


async def _create_topic(admin: "AIOKafkaAdminClient", config: KafkaConfig) -> None:
    from aiokafka.admin import NewTopic
    from aiokafka.errors import NoError, TopicAlreadyExistsError, for_code

    if not config.create_topics:
        raise ConfigError(
            f"Kafka topic {config.topic!r} is absent and create_topics is off: create it with "
            f"{config.partitions} partitions"
        )
    settings = {
        "min.insync.replicas": str(min(2, config.replication_factor)),
        "max.message.bytes": str(config.max_record_bytes + RECORD_OVERHEAD_BYTES),
        "retention.ms": str(parse_duration(config.retention) // timedelta(milliseconds=1)),
    }
    topic = NewTopic(
        config.topic, config.partitions, config.replication_factor, topic_configs=settings
    )
    answer = await admin.create_topics([topic])
    _, code, message = answer.topic_errors[0]
    error = for_code(code)
    if error in (NoError, TopicAlreadyExistsError):
        return
    if error.retriable:
        raise TransientError(f"Kafka topic {config.topic!r} not created: {error.__name__}")
    raise ConfigError(
        f"Kafka topic {config.topic!r} with {config.partitions} partitions and "
        f"replication_factor {config.replication_factor} refused: {message or error.__name__}"
    )
