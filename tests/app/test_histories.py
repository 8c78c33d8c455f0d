"""Where the alerts of a replay come from."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec import structs

from connectors.streams.kafka import KafkaConfig, KafkaStream
from engine.app.histories import PROBLEMS_TOLD, AlertLines, at_source_times, stream_history
from engine.core.records import Tick, alert_json, encode_alert, encode_tick
from engine.errors import ConfigError
from engine.ports.stream import Message
from engine.settings import load_settings
from engine.store.directory import DataDirectory
from engine.store.embedded_stream import EmbeddedStream
from tests.doubles.declarations import AT, firing
from tests.services.kafka import KafkaBroker

HOUR = timedelta(hours=1)


def test_lines_that_are_no_alert_are_told_and_the_others_are_read() -> None:
    alert = firing("Down", service="a")
    lines = AlertLines([b"{}\n", b"\n", alert_json(alert).encode() + b"\n", b"no"])
    assert list(lines) == [alert]
    assert lines.unread == 2
    assert lines.problems[0].startswith("line 1: fingerprint: Field required; a line is one alert")
    assert lines.problems[1].startswith("line 4: ")


def test_a_file_of_another_kind_has_few_problems_and_their_number() -> None:
    lines = AlertLines([b"{}"] * 100)
    assert list(lines) == []
    assert (len(lines.problems), lines.unread) == (PROBLEMS_TOLD, 100)


def test_by_the_times_of_the_source_what_happened_first_comes_first() -> None:
    late = structs.replace(
        firing("Late"), starts_at=AT + HOUR, expires_at=AT + timedelta(minutes=5)
    )
    over = structs.replace(firing("Over"), status="resolved", ends_at=AT + 2 * HOUR)
    told = structs.replace(firing("Told"), event_at=AT - HOUR)
    found = at_source_times([over, late, firing("Now"), told])
    assert [(each.name, each.received_at - AT) for each in found] == [
        ("Told", -HOUR),
        ("Now", timedelta(0)),
        ("Late", HOUR),
        ("Over", 2 * HOUR),
    ]
    assert found[2].expires_at == AT + HOUR + timedelta(minutes=5)


async def a_log(folder: Path, *hours: int) -> EmbeddedStream:
    """The log of an engine's folder, open, with an alert for each of these hours, and a tick."""
    stream = EmbeddedStream(DataDirectory(folder).stream_path)
    await stream.open()
    for hour in hours:
        alert = structs.replace(firing("A", service=f"s{hour}"), received_at=AT + hour * HOUR)
        await stream.append([Message(alert.partition_key, encode_alert(alert))])
    tick = Tick("incident_close", "x", AT)
    await stream.append([Message("k", encode_tick(tick, AT)), Message("k", b"poison")])
    return stream


async def test_a_range_of_a_folder_begins_with_its_first_moment_and_ends_before_its_last(
    tmp_path: Path,
) -> None:
    stream = await a_log(tmp_path, 0, 1, 2, 3)
    try:
        loaded = load_settings(None, {"data": tmp_path})
        everything = await stream_history(loaded, None, None)
        assert [each.received_at - AT for each in everything.alerts] == [n * HOUR for n in range(4)]
        assert everything.missing == ["1 records are no alerts; they were dead letters"]
        part = await stream_history(loaded, AT + HOUR, AT + 3 * HOUR)
        assert [each.received_at - AT for each in part.alerts] == [HOUR, 2 * HOUR]
        assert part.missing[-1] == "what fired before and didn't repeat since isn't known"
    finally:
        await stream.close()


async def test_what_was_swept_is_said_to_be_missing(tmp_path: Path) -> None:
    stream = await a_log(tmp_path, 0, 1)
    try:
        partition = stream.partition_of("s0")
        await stream.append([Message("s0", encode_alert(firing("A", service="s0")))])
        await stream.trim({partition: 1})
        found = await stream_history(load_settings(None, {"data": tmp_path}), None, None)
        assert f"partition {partition} keeps nothing from before 2026-03-01 1" in found.missing[0]
    finally:
        await stream.close()


async def test_a_folder_without_a_log_says_so_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name an engine's folder with --data"):
        await stream_history(load_settings(None, {"data": tmp_path / "none"}), None, None)
    assert not (tmp_path / "none").exists()


async def test_alerts_on_brokers_are_read_where_the_settings_name_them(
    tmp_path: Path, kafka: KafkaBroker
) -> None:
    brokers = {
        "bootstrap_servers": [kafka.bootstrap],
        "topic_prefix": f"replay-{uuid4().hex}.",
        "partitions": 2,
        "replication_factor": 1,
    }
    stream = KafkaStream(KafkaConfig.model_validate(brokers))
    await stream.open()
    alerts = [
        structs.replace(firing("A", service=f"s{n}"), received_at=AT + n * HOUR) for n in range(6)
    ]
    await stream.append([Message(each.partition_key, encode_alert(each)) for each in alerts])
    await stream.close()
    loaded = load_settings(None, {"data": tmp_path, "stream": {"uses": "kafka", **brokers}})
    assert list((await stream_history(loaded, None, AT + 4 * HOUR)).alerts) == alerts[:4]
