"""A topic is deleted and made anew under quell: it stops loudly, and goes on as a person says."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.on_kafka import PARTITIONS, SERVICES, OnKafka
from tests.services.kafka import KafkaBroker
from tests.services.process import wait_until

DEADLINE_S = 60.0


@pytest.fixture
def site(kafka: KafkaBroker, tmp_path: Path) -> Iterator[OnKafka]:
    made = OnKafka(tmp_path, kafka)
    try:
        made.quell.start()
        yield made
    finally:
        made.quell.stop()


def make_topic_anew(site: OnKafka) -> None:
    topic = f"{site.prefix}alerts"
    asyncio.run(site.broker.delete_topic(topic))
    asyncio.run(site.broker.create_topic(topic, PARTITIONS))


def test_a_topic_that_is_made_anew_stops_its_partitions_until_they_are_set(site: OnKafka) -> None:
    assert set(site.send(0, 3)) == {200}
    site.settle(3 * SERVICES)
    make_topic_anew(site)
    # More than the positions stand at: without its id, the topic could pass for the old one.
    assert set(site.send(3, 9)) == {200}
    wait_until(lambda: site.quell.health("/healthz")[0] == 503, "healthz fails", DEADLINE_S)
    _, detail = site.quell.health("/healthz")
    assert "the topic or file was deleted and made anew" in detail
    assert "quell positions set" in detail

    found = site.quell.verb("positions", statuses=(1,))["positions"]
    stopped = [each for each in found if each["stopped"]]
    assert len(stopped) > 1
    assert {each["position"] for each in stopped} == {None}
    first, *others = [str(each["partition"]) for each in stopped]
    done = site.quell.verb("positions", "set", first, "first", "--reason", "it was a drill")
    assert (done["position"], done["passed_over"]) == (0, 0)
    _, detail = site.quell.health("/healthz")
    assert f"partition {others[0]} of" in detail, "the others wait for a decision of their own"
    passed = 0
    for partition in others:
        answer = site.quell.verb("positions", "set", partition, "1", "--reason", "it was a drill")
        passed += answer["passed_over"]
    assert passed == len(others)

    wait_until(lambda: site.quell.health("/healthz")[0] == 200, "healthz is well", DEADLINE_S)
    became = site.settle(12 * SERVICES - passed)
    assert became == {"unmatched": 12 * SERVICES - passed, "skipped": passed}
    assert site.quell.verb("positions")["positions"]
    assert site.quell.verb("audit", "verify")["faults"] == []


def test_a_quell_that_was_away_meanwhile_stops_at_its_start(site: OnKafka) -> None:
    assert set(site.send(0, 2)) == {200}
    site.settle(2 * SERVICES)
    site.quell.stop()
    make_topic_anew(site)
    site.quell.start()
    wait_until(lambda: site.quell.health("/healthz")[0] == 503, "healthz fails", DEADLINE_S)
    for each in site.quell.verb("positions", statuses=(1,))["positions"]:
        if each["stopped"]:
            words = ("set", str(each["partition"]), "end", "--reason", "nothing is there yet")
            assert site.quell.verb("positions", *words)["passed_over"] == 0
    assert set(site.send(2, 2)) == {200}
    assert site.settle(4 * SERVICES) == {"unmatched": 4 * SERVICES}
