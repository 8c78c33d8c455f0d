"""Kafka goes away and comes back: senders never notice, and nothing is lost or out of order."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.on_kafka import SERVICES, OnKafka
from tests.services.kafka import KafkaBroker


@pytest.fixture
def outage(kafka: KafkaBroker, tmp_path: Path) -> Iterator[OnKafka]:
    made = OnKafka(tmp_path, kafka)
    try:
        yield made
    finally:
        made.quell.stop()
        if not kafka.running:
            kafka.start()


def test_alerts_of_an_outage_are_acknowledged_and_processed_once_in_order(outage: OnKafka) -> None:
    outage.quell.start()
    assert set(outage.send(0, 5)) == {200}
    # What a broker that is away would say is known only once one has answered.
    assert outage.quell.get("/v1/balance")["difference"] == 0
    outage.broker.kill()
    assert set(outage.send(5, 50)) == {200}
    code, detail = outage.quell.health("/readyz")
    assert (code, outage.quell.health("/healthz")[0]) == (503, 200)
    assert "Alerts are kept on this machine's disk meanwhile (500 records wait)" in detail
    assert outage.quell.get("/v1/balance")["waiting"] >= 500
    outage.broker.start()
    assert set(outage.send(55, 5)) == {200}, "while the spool is drained"
    outage.check(60)


def test_quell_comes_up_without_a_broker_and_takes_alerts(outage: OnKafka) -> None:
    outage.broker.kill()
    outage.start_unready()
    assert outage.quell.health("/readyz")[0] == 503
    assert set(outage.send(0, 5)) == {200}
    outage.broker.start()
    outage.check(5)


def test_a_quell_that_is_killed_while_alerts_are_spooled_has_them_afterwards(
    outage: OnKafka,
) -> None:
    outage.quell.start()
    outage.broker.kill()
    assert set(outage.send(0, 20)) == {200}
    outage.quell.kill()
    outage.start_unready()
    assert set(outage.send(20, 5)) == {200}
    outage.quell.kill()
    outage.broker.start()
    outage.quell.start()
    outage.check(25)


def test_a_second_engine_on_one_folder_has_no_spool_and_asks_senders_to_come_back(
    kafka: KafkaBroker, postgres_url: str, tmp_path: Path
) -> None:
    store: dict[str, object] = {"store": {"url": postgres_url}}
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    first = OnKafka(tmp_path / "first", kafka, store)
    second = OnKafka(tmp_path / "second", kafka, {**store, "data": str(first.quell.data)})
    try:
        first.quell.start()
        second.quell.start()
        kafka.kill()
        assert set(first.send(0, 2)) == {200}
        assert set(second.send(0, 1)) == {503}
        kafka.start()
        first.settle(2 * SERVICES)
    finally:
        first.quell.stop()
        second.quell.stop()
        if not kafka.running:
            kafka.start()
