"""PostgreSQL is restarted, or stands still for longer than a lease, under alerts and runs."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scenarios.marks import MarkedHost, marked_host, wait_for_runs
from tests.scenarios.on_kafka import stream_section
from tests.scenarios.quell import Quell, bodies
from tests.scenarios.senders import Flow
from tests.services.kafka import KafkaBroker
from tests.services.postgres import PostgresServer, running_postgres
from tests.services.process import free_port, wait_until
from tests.services.ssh_host import SshHost

ALERTS = 1_500
# One that wants a mark among so many.
EVERY = 150
SLOW = "slow"
WANTED = {n: f"n{n}" for n in range(0, ALERTS, EVERY)}


@dataclass(frozen=True, slots=True)
class Fault:
    """How it begins and ends, and how long it lasts at least."""

    begin: Callable[[PostgresServer], None]
    end: Callable[[PostgresServer], None]
    lasts_s: float


RESTARTED = Fault(PostgresServer.stop_fast, PostgresServer.start, 10)
# Longer than a lease, and than a statement may take: 30 s each.
PAUSED = Fault(PostgresServer.pause, PostgresServer.go_on, 45)


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A server of its own: others are not to stand still."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def marked(ssh_host: SshHost) -> MarkedHost:
    return marked_host(ssh_host)


@pytest.fixture
def quell(
    kafka: KafkaBroker, postgres: PostgresServer, marked: MarkedHost, tmp_path: Path
) -> Iterator[Quell]:
    sections = {
        **marked.settings(tmp_path, [SLOW, *WANTED.values()]),
        "stream": stream_section(kafka),
        "store": {"url": postgres.url(postgres.create_database())},
    }
    made = Quell(tmp_path, f"127.0.0.1:{free_port()}", sections, ["serve"])
    made.start()
    try:
        yield made
    finally:
        made.kill()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(RESTARTED, id="restarted", marks=pytest.mark.slow),
        pytest.param(PAUSED, id="paused"),
    ],
)
def test_alerts_are_taken_all_goes_on_by_itself_and_no_mark_is_left_twice(
    fault: Fault, quell: Quell, postgres: PostgresServer, marked: MarkedHost
) -> None:
    def wants(word: str, how: str = "quickly") -> dict[str, str]:
        return {**marked.labels(word, how), "target": word}

    flow = Flow(
        quell.url,
        [
            wants(WANTED[n])
            if n in WANTED
            else {"alertname": "FanNoisy", "service": f"svc-{n % 20}", "number": str(n)}
            for n in range(ALERTS)
        ],
    )
    # What flows before the fault is a few seconds' worth; what is left lasts beyond it.
    flow.pause_s = 0.1
    flow.start()
    wait_until(lambda: flow.sent.taken >= ALERTS // 5, "alerts flow", 30)
    slow = Flow(quell.url, [wants(SLOW, "slowly")], senders=1)
    slow.start()
    wait_until(lambda: marked.begun()[SLOW] == 1, "a step has begun on the host", 30)

    fault.begin(postgres)
    began, before = time.monotonic(), flow.sent.taken
    flow.pause_s = 1.5 * fault.lasts_s * flow.senders / (ALERTS - before)
    wait_until(lambda: quell.health("/readyz")[0] == 503, "it is unready", 30)
    assert quell.health("/readyz")[1].startswith("store: ")
    wait_until(lambda: marked.marks()[SLOW] == 1, "the step ends on the host", 30)
    while time.monotonic() - began < fault.lasts_s:
        assert quell.health("/healthz") == (200, ""), "a restart would mend nothing"
        time.sleep(0.5)
    during = flow.sent.taken - before
    fault.end(postgres)
    began = time.monotonic()

    def caught_up() -> bool:
        return quell.ready() and quell.get("/v1/balance")["waiting"] == 0

    wait_until(caught_up, "it goes on", 60)
    went_on_s = time.monotonic() - began
    flow.pause_s = 0.0
    flow.join(120)
    ends = wait_for_runs(quell, len(WANTED) + 1, 120)
    all_ended_s = time.monotonic() - began
    wait_until(caught_up, "everything is decided", 60)
    sys.stdout.write(
        f"\n{during} alerts taken meanwhile; caught up {went_on_s:.1f} s and all runs ended "
        f"{all_ended_s:.0f} s after it was back; answers {dict(flow.sent.answers)}, a sender "
        f"waited at most {flow.sent.longest_s:.1f} s\n"
    )

    assert during > 100, "alerts flowed meanwhile"
    assert set(flow.sent.answers) == {200}, "the stream keeps what the store can't"
    assert [end["outcome"] for end in ends] == ["succeeded"] * (len(WANTED) + 1), ends
    assert marked.marks() == dict.fromkeys([SLOW, *WANTED.values()], 1)
    assert marked.begun() == {SLOW: 1}
    incidents = [each for each in quell.incidents() if each["rule_id"] == "mark-wanted"]
    assert [each["runs"] for each in incidents] == [1] * (len(WANTED) + 1)
    (held_up,) = [each for each in incidents if each["group"] == {"name": marked.name(SLOW)}]
    (probed,) = bodies(quell.story(held_up), "attempt.probed")
    assert probed["answer"] == "done", "its end couldn't be written, so it was looked for"
    balance = quell.get("/v1/balance")
    assert balance["difference"] == 0
    became = balance["dispositions"]
    assert (became["unmatched"], became["new"]) == (ALERTS - len(WANTED), len(WANTED) + 1)
    assert set(became) <= {"unmatched", "new", "tick"}
    assert quell.verb("audit", "verify")["faults"] == []
    assert "Traceback" not in quell.log()
