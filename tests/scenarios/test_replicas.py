"""Replicas come, go, crash and restart while alerts flow and runs are under way."""

import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.marks import TARGETS, MarkedHost, marked_host, wait_for_runs
from tests.scenarios.quell import Quell, bodies
from tests.scenarios.replicas import Replicas, running_replicas
from tests.scenarios.senders import Flow, Labels
from tests.services.kafka import KafkaBroker
from tests.services.postgres import PostgresServer
from tests.services.process import wait_until
from tests.services.ssh_host import SshHost

ALERTS = 2_000
# Those that want a slow mark: one every two seconds while replicas stop and crash.
WANTED = range(0, 600, 20)
SERVICES = 20
# Of each Alertmanager of the pair: so slow that both still flow after the last restart.
SENDERS, PAUSE_S = 4, 0.4
# The bound that a crashed run's step leaves to others (10 + 15 + 5 s) after a lease of 30 s,
# then a turn of the runs that waited for its lock.
ENDED_WITHIN_S = 120
# The grace and the closing of a replica, as its own tests measure them.
STOPPED_WITHIN_S = 15 + 12


@pytest.fixture
def replicas(
    ssh_host: SshHost, kafka: KafkaBroker, postgres: PostgresServer, tmp_path: Path
) -> Iterator[Replicas]:
    with running_replicas(tmp_path, marked_host(ssh_host), kafka, postgres) as running:
        yield running


def alerts(marked: MarkedHost) -> list[Labels]:
    """Those that want a mark want it on one target after the other."""
    return [
        marked.labels(f"n{n}", "slowly", TARGETS[WANTED.index(n) % len(TARGETS)])
        if n in WANTED
        else {"alertname": "FanNoisy", "service": f"svc-{n % SERVICES}", "number": str(n)}
        for n in range(ALERTS)
    ]


def in_a_step(replicas: Replicas) -> Quell:
    """A replica of whose run a step is under way on the host right now."""
    found: list[Quell] = []

    def look() -> bool:
        if replicas.marked.begun() - replicas.marked.marks():
            found.extend(replicas.changing())
        return bool(found)

    wait_until(look, "a replica is in the middle of a step", 30)
    return found[0]


def restart(quell: Quell) -> None:
    """SIGTERM and a new start, as a rolling update does it."""
    quell.signal(signal.SIGTERM)
    assert quell.wait(STOPPED_WITHIN_S) == 0
    quell.start()


def test_nothing_is_lost_or_done_twice_while_replicas_come_go_and_crash(
    replicas: Replicas,
) -> None:
    marked, sent = replicas.marked, alerts(replicas.marked)
    wanted = {f"n{n}": 1 for n in WANTED}
    pair = [replicas.add("first"), replicas.add("second")]
    for each in pair:
        each.start()
    flows = [Flow(each.url, sent, senders=SENDERS, pause_s=PAUSE_S) for each in pair]
    began = time.monotonic()
    for flow in flows:
        flow.start()

    in_a_step(replicas)
    third = replicas.add("third")
    third.start()
    wait_until(lambda: third in replicas.at_work(), "the third has its share of the work", 30)

    crashed = in_a_step(replicas)
    crashed.kill()
    under_way = marked.begun() - marked.marks()
    crashed.start()
    restart(in_a_step(replicas))
    for each in replicas.all:
        restart(each)
    assert all(flow.sent.taken < ALERTS for flow in flows), "alerts flowed all the time"
    flowed_s = time.monotonic() - began

    for flow in flows:
        flow.pause_s = 0.0
    for flow in flows:
        flow.join(60)
        assert flow.sent.taken == ALERTS
        assert set(flow.sent.answers) <= {200, 503, 0}
    ends = wait_for_runs(third, len(wanted), ENDED_WITHIN_S)
    wait_until(lambda: third.get("/v1/balance")["waiting"] == 0, "everything is decided", 60)
    sys.stdout.write(
        f"\n{ALERTS} alerts twice; a start, four restarts and a crash in {flowed_s:.0f} s; "
        f"answers {[dict(flow.sent.answers) for flow in flows]}; "
        f"{sorted(under_way)} under way at the crash\n"
    )

    assert [end["outcome"] for end in ends] == ["succeeded"] * len(wanted), ends
    assert (marked.begun(), marked.marks()) == (wanted, wanted)
    became = Counter(replicas.check(len(wanted)))
    assert (became["unmatched"], became["new"]) == (ALERTS - len(wanted), len(wanted))
    # The other half of the pair, and what was sent again because its answer was lost. The pair
    # came in through two replicas: what one received first may be in the stream after the other's.
    assert became["repeat"] + became["stale"] >= ALERTS
    assert set(became) <= {"unmatched", "new", "repeat", "stale", "tick"}
    probed = [
        probe
        for incident in third.incidents()
        for probe in bodies(third.story(incident), "attempt.probed")
    ]
    assert probed, "somebody looked at what the crash had interrupted"
    assert {probe["answer"] for probe in probed} == {"done"}
