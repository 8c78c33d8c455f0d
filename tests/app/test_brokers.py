"""What an engine has beside its stream where brokers keep it: followers, and copies elsewhere."""

from pathlib import Path
from uuid import uuid4

import pytest

from engine.app import load_connectors, open_engine
from engine.core.findings import Finding
from engine.errors import ConfigError
from engine.settings import LoadedSettings, load_settings
from engine.store.checkpoint_file import CheckpointFile
from tests.services.kafka import KafkaBroker
from tests.services.process import free_port


def settings(folder: Path, text: str) -> LoadedSettings:
    file = folder / "quell.yaml"
    file.write_text(f"listen: 127.0.0.1:0\ndata: data\n{text}\n")
    return load_settings(file, {})


def kafka_stream(address: str, more: str = "") -> str:
    prefix = f"brokers-{uuid4().hex}."
    return (
        f"stream: {{uses: kafka, bootstrap_servers: ['{address}'], topic_prefix: {prefix}, "
        f"replication_factor: 1, deadline_s: 5{more}}}"
    )


async def test_a_folder_alone_has_no_outbox_and_is_done_with_what_another_one_left(
    tmp_path: Path,
) -> None:
    async with open_engine(settings(tmp_path, "")) as engine:
        assert engine.outbox is None
        assert "publish" in engine.tasks.handlers
        assert not await engine.store.write(lambda tx: tx.publishes)


async def test_on_kafka_incidents_are_published_by_workers_of_their_own(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    async with open_engine(settings(tmp_path, kafka_stream(kafka.bootstrap))) as engine:
        assert engine.outbox is not None
        assert set(engine.outbox.handlers) == {"publish"}
        assert "publish" not in engine.tasks.handlers
        assert await engine.store.write(lambda tx: tx.publishes)


async def test_publishing_can_be_turned_off(kafka: KafkaBroker, tmp_path: Path) -> None:
    text = kafka_stream(kafka.bootstrap, ", incidents: {publish: false}")
    async with open_engine(settings(tmp_path, text)) as engine:
        assert engine.outbox is None
        assert not await engine.store.write(lambda tx: tx.publishes)


async def test_an_engine_starts_while_its_brokers_are_away(tmp_path: Path) -> None:
    text = kafka_stream(f"127.0.0.1:{free_port()}") + "\naudit: {copy_to_stream: true}"
    async with open_engine(settings(tmp_path, text)) as engine:
        assert engine.outbox is not None


async def test_a_topic_for_incidents_that_may_not_be_made_ends_the_start(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    loaded = settings(tmp_path, kafka_stream(kafka.bootstrap, ", create_topics: false"))
    prefix = str(loaded.settings.stream["topic_prefix"])
    await kafka.create_topic(f"{prefix}alerts", 12)
    with pytest.raises(ConfigError, match=rf"{prefix}incidents.*create it with 6 partitions"):
        async with open_engine(loaded):
            pass


def test_copies_of_checkpoints_go_to_files_and_to_the_stream(tmp_path: Path) -> None:
    stream = kafka_stream("127.0.0.1:9")
    audit = "audit: {copies: [elsewhere.jsonl], copy_to_stream: true}"
    file, topic = load_connectors(settings(tmp_path, f"{stream}\n{audit}")).checkpoint_copies
    assert isinstance(file, CheckpointFile)
    assert file.name == str(tmp_path / "elsewhere.jsonl")
    assert topic.name.endswith(".checkpoints")
    (alone,) = load_connectors(settings(tmp_path, "audit: {copies: [x.jsonl]}")).checkpoint_copies
    assert isinstance(alone, CheckpointFile)


def test_a_copy_beside_the_database_is_a_mistake_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load_connectors(settings(tmp_path, "audit: {copy_to_stream: true}"))
    (finding,) = raised.value.findings
    assert isinstance(finding, Finding)
    assert str(finding).startswith(f"{tmp_path}/quell.yaml:3:")
    assert "who can change one can change the other" in str(finding)
