"""Copies of checkpoints in Kafka: what a plain consumer printed finds a rolled-back database."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.on_kafka import SERVICES, OnKafka, read_topic
from tests.scenarios.quell import PROGRAM
from tests.services.kafka import KafkaBroker
from tests.services.process import run, wait_until

DEADLINE_S = 60.0


@pytest.fixture
def site(kafka: KafkaBroker, tmp_path: Path) -> Iterator[OnKafka]:
    made = OnKafka(tmp_path, kafka, {"audit": {"copy_to_stream": True}})
    try:
        made.quell.start()
        yield made
    finally:
        made.quell.stop()


def wait_for_checkpoint(site: OnKafka, number: int) -> None:
    """Each start makes one at once where something was journaled; then one a minute."""

    def numbers() -> list[int]:
        values = read_topic(site.broker, f"{site.prefix}checkpoints")
        return [json.loads(json.loads(value)["body"])["number"] for value in values]

    wait_until(lambda: number in numbers(), f"checkpoint {number} is copied", DEADLINE_S + 30)


def exported(site: OnKafka, path: Path) -> Path:
    """What `quell audit export` writes; the engine may run or not."""
    run([PROGRAM, "audit", "export", "--data", site.quell.data, "--output", path])
    return path


def consumed(site: OnKafka, path: Path) -> Path:
    """What Kafka's own consumer prints."""
    path.write_text(
        site.broker.tool(
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            *("--topic", f"{site.prefix}checkpoints", "--from-beginning", "--timeout-ms", "5000"),
        )
    )
    return path


def test_a_database_that_was_set_back_is_found_by_what_the_topic_holds(
    site: OnKafka, tmp_path: Path
) -> None:
    wait_for_checkpoint(site, 1)
    assert set(site.send(0, 1)) == {200}
    site.settle(SERVICES)
    site.quell.stop()
    earlier = tmp_path / "earlier"
    shutil.copytree(site.quell.data, earlier)

    site.quell.start()
    wait_for_checkpoint(site, 2)
    assert set(site.send(1, 1)) == {200}
    site.settle(2 * SERVICES)
    site.quell.stop()
    site.quell.start()
    wait_for_checkpoint(site, 3)

    copy = consumed(site, tmp_path / "copy.jsonl")
    key = tmp_path / "quell.pub"
    key.write_text(run([PROGRAM, "audit", "key", "--data", site.quell.data]))
    whole = exported(site, tmp_path / "whole.jsonl")
    given = ("--checkpoints", str(copy), "--key", str(key))
    report = site.quell.verb("audit", "verify", str(whole), *given)
    assert report["faults"] == []
    assert report["verified_checkpoint"] >= 3

    site.quell.stop()
    shutil.rmtree(site.quell.data)
    shutil.copytree(earlier, site.quell.data)
    behind = exported(site, tmp_path / "behind.jsonl")
    sound = site.quell.verb("audit", "verify", str(behind), "--key", str(key))
    assert sound["faults"] == [], "by itself it is as it was written"
    found = site.quell.verb("audit", "verify", str(behind), *given, statuses=(1,))
    assert any(fault.startswith("system entry") for fault in found["faults"])
