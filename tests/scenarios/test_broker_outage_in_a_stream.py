"""The broker is gone for half a minute while alerts never stop, and some of them start runs."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.marks import MarkedHost, marked_host, wait_for_runs
from tests.scenarios.on_kafka import stream_section
from tests.scenarios.quell import Quell
from tests.scenarios.senders import Flow
from tests.services.kafka import KafkaBroker
from tests.services.process import free_port, wait_until
from tests.services.ssh_host import SshHost

ALERTS = 5_000
OUTAGE_S = 30.0
# One that wants a mark among so many.
EVERY = 250
SERVICES = 20


@pytest.fixture
def marked(ssh_host: SshHost) -> MarkedHost:
    return marked_host(ssh_host)


@pytest.fixture
def quell(kafka: KafkaBroker, marked: MarkedHost, tmp_path: Path) -> Iterator[Quell]:
    sections = {**marked.settings(tmp_path), "stream": stream_section(kafka, deadline_s=3)}
    made = Quell(tmp_path, f"127.0.0.1:{free_port()}", sections, ["serve"])
    made.start()
    try:
        yield made
    finally:
        made.stop()
        if not kafka.running:
            kafka.start()


def test_nothing_is_lost_doubled_or_refused_while_the_broker_is_gone(
    quell: Quell, kafka: KafkaBroker, marked: MarkedHost
) -> None:
    wanted = {n: f"n{n}" for n in range(0, ALERTS, EVERY)}
    flow = Flow(
        quell.url,
        [
            marked.labels(wanted[n])
            if n in wanted
            else {"alertname": "FanNoisy", "service": f"svc-{n % SERVICES}", "number": str(n)}
            for n in range(ALERTS)
        ],
    )
    flow.start()
    wait_until(lambda: flow.sent.taken >= ALERTS // 5, "alerts flow", 30)
    began = time.monotonic()
    # What is left lasts beyond the outage.
    flow.pause_s = OUTAGE_S * flow.senders / (ALERTS * 3 // 5)
    kafka.stop()
    time.sleep(max(OUTAGE_S - (time.monotonic() - began), 0))
    during = flow.sent.taken
    kafka.start()
    gone_s = time.monotonic() - began
    flow.pause_s = 0.0
    flow.join(60)
    sys.stdout.write(
        f"\n{flow.sent.taken} alerts taken, {during} of them before the broker was back, "
        f"{gone_s:.0f} s after it went; answers {dict(flow.sent.answers)}; "
        f"a sender waited at most {flow.sent.longest_s:.1f} s\n"
    )

    assert during > ALERTS // 5 + 1_000, "alerts flowed during the outage"
    assert set(flow.sent.answers) <= {200, 503}
    ends = wait_for_runs(quell, len(wanted), 120)
    assert [end["outcome"] for end in ends] == ["succeeded"] * len(wanted)
    assert marked.marks() == dict.fromkeys(wanted.values(), 1)

    def settled() -> bool:
        return bool(quell.ready() and quell.get("/v1/balance")["waiting"] == 0)

    wait_until(settled, "everything is decided", 60)
    balance = quell.verb("balance")
    assert balance["difference"] == 0
    became = balance["dispositions"]
    assert (became["unmatched"], became["new"]) == (ALERTS - len(wanted), len(wanted))
    # A record may be in the topic twice where its acknowledgement was lost; ticks are quell's own.
    assert set(became) <= {"unmatched", "new", "repeat", "tick"}
    assert quell.verb("audit", "verify")["faults"] == []
