"""PostgreSQL is gone for over a minute: alerts are taken, and people are told nevertheless."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.emergency_receiver import EmergencyReceiver
from tests.scenarios.on_kafka import stream_section
from tests.scenarios.quell import Quell
from tests.scenarios.senders import Flow
from tests.services.kafka import KafkaBroker
from tests.services.postgres import PostgresServer
from tests.services.process import free_port, wait_until

ALERTS = 600
# A minute until it is told; the rest is for a busy machine.
TOLD_WITHIN_S = 60 * 1.5


@pytest.fixture
def emergency() -> Iterator[EmergencyReceiver]:
    with EmergencyReceiver().running() as receiver:
        yield receiver


@pytest.fixture
def quell(
    kafka: KafkaBroker,
    postgres: PostgresServer,
    postgres_url: str,
    emergency: EmergencyReceiver,
    tmp_path: Path,
) -> Iterator[Quell]:
    sections = {
        "stream": stream_section(kafka),
        "store": {"url": postgres_url},
        **emergency.settings,
    }
    made = Quell(tmp_path, f"127.0.0.1:{free_port()}", sections, ["serve"])
    made.start()
    try:
        yield made
    finally:
        made.stop()
        postgres.kill()
        postgres.start()


def test_alerts_are_taken_people_are_told_and_it_goes_on_by_itself(
    quell: Quell, postgres: PostgresServer, emergency: EmergencyReceiver
) -> None:
    alerts = [
        {"alertname": "FanNoisy", "service": f"svc-{n % 10}", "number": str(n)}
        for n in range(ALERTS)
    ]
    # It flows for about a minute and a half.
    flow = Flow(quell.url, alerts, pause_s=1.2)
    flow.start()
    wait_until(lambda: flow.sent.taken > flow.senders, "alerts flow", 30)
    postgres.kill()
    began = time.monotonic()
    wait_until(lambda: not quell.ready(), "it is unready", 30)
    wait_until(lambda: len(emergency.texts) == 1, "the emergency address is told", TOLD_WITHIN_S)
    told_s = time.monotonic() - began
    assert told_s >= 60
    assert "its store can't be written since" in emergency.texts[0]
    assert quell.alive(), "a restart would mend nothing"

    postgres.start()
    began = time.monotonic()

    def caught_up() -> bool:
        return quell.ready() and quell.get("/v1/balance")["waiting"] == 0

    wait_until(caught_up, "it goes on", 60)
    went_on_s = time.monotonic() - began
    flow.join(120)
    wait_until(caught_up, "everything is decided", 60)
    sys.stdout.write(
        f"\ntold after {told_s:.0f} s, caught up {went_on_s:.1f} s after the store was back; "
        f"answers {dict(flow.sent.answers)}, a sender waited at most {flow.sent.longest_s:.1f} s\n"
    )
    assert set(flow.sent.answers) == {200}, "the stream keeps what the store can't"
    assert quell.alive()
    balance = quell.verb("balance")
    assert balance["difference"] == 0
    assert balance["dispositions"]["unmatched"] == ALERTS
    assert quell.verb("audit", "verify")["faults"] == []
    assert len(emergency.texts) == 1, "at most every five minutes"
