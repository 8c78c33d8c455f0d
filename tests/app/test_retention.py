"""What `retention` says reaches all that keep to it."""

from pathlib import Path

import pytest

from connectors.streams.kafka import KafkaStream
from engine.app import load_connectors, open_engine
from engine.core.retention import Retention
from engine.errors import FullError
from engine.ports.source import Rejected
from engine.settings import LoadedSettings, load_settings
from engine.store.embedded_stream import EmbeddedStream


def loaded(folder: Path, text: str) -> LoadedSettings:
    file = folder / "quell.yaml"
    file.write_text(f"listen: 127.0.0.1:0\ndata: data\n{text}")
    return load_settings(file, {})


async def test_a_running_engine_keeps_house(tmp_path: Path) -> None:
    async with open_engine(loaded(tmp_path, "")) as engine:
        waiting = await engine.store.read(lambda tx: tx.waiting_tasks())
        assert waiting["housekeeping"] == 1
        task = await engine.store.write(lambda tx: tx.claim_task("w", 30, ["housekeeping"]))
        assert task is not None
        await engine.tasks.handlers["housekeeping"](task)


async def test_dead_letters_have_the_room_that_the_settings_give(tmp_path: Path) -> None:
    text = "retention: {dead_letters_count: 2}\n"
    async with open_engine(loaded(tmp_path, text)) as engine:
        intake = engine.parts.intake
        await intake.dead_letter("alertmanager", [Rejected(-1, "", "bad", b"1")])
        assert await engine.parts.warnings() == []
        await intake.dead_letter("alertmanager", [Rejected(-1, "", "bad", b"2")])
        (warning,) = await engine.parts.warnings()
        assert "100% full" in warning
        with pytest.raises(FullError, match="2 of them and 256MiB may be kept"):
            await intake.dead_letter("alertmanager", [Rejected(-1, "", "bad", b"3")])
        assert engine.pipeline.retention == Retention(dead_letters_count=2)
        assert await engine.parts.ready() == []


async def test_the_stream_s_file_has_the_size_that_the_settings_give(tmp_path: Path) -> None:
    stream = load_connectors(loaded(tmp_path, "retention: {stream_size: 32MiB}\n")).stream
    assert isinstance(stream, EmbeddedStream)
    assert stream.max_bytes == 32 * 1024 * 1024


@pytest.mark.parametrize(
    ("more", "kept"), [("", "3d"), (", retention: 9d", "9d")], ids=["as quell's", "its own"]
)
def test_kafka_is_told_how_long_records_stay(tmp_path: Path, more: str, kept: str) -> None:
    text = f"stream: {{uses: kafka, bootstrap_servers: ['127.0.0.1:9']{more}}}\n"
    stream = load_connectors(loaded(tmp_path, f"{text}retention: {{stream: 3d}}\n")).stream
    assert isinstance(stream, KafkaStream)
    assert stream._config.retention == kept
