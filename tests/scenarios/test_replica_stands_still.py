"""A replica stands still past its session, and comes back: another one did its work, once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from tests.scenarios.on_kafka import SERVICES, OnKafka, stream_section
from tests.services.kafka import KafkaBroker


@pytest.fixture
def replicas(
    kafka: KafkaBroker, postgres_url: str, tmp_path: Path
) -> Iterator[tuple[OnKafka, OnKafka]]:
    prefix = f"frozen-{uuid4().hex}."
    stream = stream_section(kafka, prefix, deadline_s=3, session_timeout_s=6)
    sections: dict[str, object] = {"stream": stream, "store": {"url": postgres_url}}
    made = []
    for name in ("frozen", "other"):
        (tmp_path / name).mkdir()
        made.append(OnKafka(tmp_path / name, kafka, sections, prefix))
    try:
        for each in made:
            each.quell.start()
        yield made[0], made[1]
    finally:
        for each in made:
            each.quell.stop()


def test_what_a_frozen_replica_had_in_its_hands_is_decided_on_once(
    replicas: tuple[OnKafka, OnKafka],
) -> None:
    frozen, other = replicas
    assert set(other.send(0, 5)) == {200}
    other.settle(5 * SERVICES)
    with ThreadPoolExecutor(1) as sender:
        sending = sender.submit(other.send, 5, 60)
        with frozen.quell.frozen():
            # Its partitions wait until its session ends; then the other one has them all.
            other.settle(65 * SERVICES)
            assert set(sending.result()) == {200}
    assert set(frozen.send(65, 5)) == {200}
    for each in (other, frozen):
        each.check(70)
        assert each.settle(70 * SERVICES) == {"unmatched": 70 * SERVICES}
        assert each.quell.health("/healthz")[0] == 200
