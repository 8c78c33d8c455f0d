"""Somebody stops or restarts quell in the middle of a step on the host: bounded, clean, once."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.marks import SLOWLY_S, MarkedHost, marked_host, wait_for_runs
from tests.scenarios.on_kafka import stream_section
from tests.scenarios.quell import Quell, bodies
from tests.scenarios.senders import Sender, Sent, send_one
from tests.services.kafka import KafkaBroker
from tests.services.postgres import PostgresServer
from tests.services.process import free_port, wait_until
from tests.services.ssh_host import SshHost

# From the step's intent until nobody can be at it any more: its time-out, 15 s, and 5 s.
LEFT_ALONE_S = 10 + 15 + 5
# From the end of the grace to the end of the process, at the most.
CLOSE_WITHIN_S = 12

Start = Callable[[Mapping[str, Any]], Quell]


@pytest.fixture
def marked(ssh_host: SshHost) -> MarkedHost:
    return marked_host(ssh_host)


@pytest.fixture
def start(marked: MarkedHost, tmp_path: Path) -> Iterator[Start]:
    """A quell with these further settings, in the middle of a slow mark."""
    with ExitStack() as running:

        def started(more: Mapping[str, Any]) -> Quell:
            address = f"127.0.0.1:{free_port()}"
            quell = Quell(tmp_path, address, {**marked.settings(tmp_path), **more}, ["serve"])
            quell.start()
            running.callback(quell.kill)
            assert send_one(quell.url, marked.labels("one", "slowly")) == 200
            wait_until(lambda: marked.begun()["one"] == 1, "the step has begun on the host", 20)
            return quell

        yield started


def check(quell: Quell, marked: MarkedHost, outcome: str = "succeeded") -> None:
    """The run has ended so, the host has one mark, and every record is accounted for."""
    (end,) = wait_for_runs(quell, 1, LEFT_ALONE_S + 30)
    assert end["outcome"] == outcome, end
    assert (marked.begun(), marked.marks()) == ({"one": 1}, {"one": 1})
    assert quell.verb("balance")["difference"] == 0
    assert quell.verb("audit", "verify")["faults"] == []


def story(quell: Quell) -> dict[str, Any]:
    """The only incident, as the folder's files tell it without an engine."""
    (incident,) = quell.verb("incidents")["incidents"]
    return quell.verb("incidents", "show", incident["name"])


def test_a_step_that_ends_within_the_grace_is_known_and_the_next_start_goes_on_at_once(
    start: Start, marked: MarkedHost
) -> None:
    quell = start({})
    began = time.monotonic()
    quell.signal(signal.SIGTERM)
    # Meanwhile nobody gets an answer other than "come back".
    refused = Sent()
    sender = Sender(quell.url, refused)
    while marked.marks()["one"] == 0 and time.monotonic() - began < 2 * SLOWLY_S:
        sender.send({"alertname": "FanNoisy", "service": "late"}, until_taken=False)
        time.sleep(0.1)
    sender.close()
    assert quell.wait(15 + CLOSE_WITHIN_S) == 0
    assert time.monotonic() - began < SLOWLY_S + CLOSE_WITHIN_S
    assert refused.answers[0] > 0, "the door is shut"
    told = story(quell)
    (ended,) = bodies(told, "attempt.ended")
    assert ended["outcome"] == "succeeded"
    assert bodies(told, "run.ended") == []

    quell.start()
    began = time.monotonic()
    check(quell, marked)
    assert time.monotonic() - began < LEFT_ALONE_S / 2, "nobody waited for a lease or a bound"
    # What was taken in the moment of the signal is decided like all else.
    dispositions = quell.get("/v1/balance")["dispositions"]
    assert sum(n for kind, n in dispositions.items() if kind != "tick") == 1 + refused.answers[200]


def test_a_step_that_outlasts_the_grace_is_looked_at_after_the_next_start(
    start: Start, marked: MarkedHost
) -> None:
    quell = start({"stop_grace": "1s"})
    began = time.monotonic()
    quell.signal(signal.SIGTERM)
    assert quell.wait(1 + CLOSE_WITHIN_S) == 0
    assert time.monotonic() - began < SLOWLY_S, "it didn't wait for the step"
    assert bodies(story(quell), "attempt.ended") == []
    assert '"event": "cut_short"' in quell.log()

    quell.start()
    check(quell, marked)
    (probed,) = bodies(quell.story(quell.wait_for_incident("mark-wanted")), "attempt.probed")
    assert probed["answer"] == "done"


def test_a_second_signal_ends_it_at_once_and_loses_nothing(
    start: Start, marked: MarkedHost
) -> None:
    quell = start({})
    quell.signal(signal.SIGTERM)
    wait_until(lambda: '"event": "stopping"' in quell.log(), "it has heard the first", 5)
    quell.signal(signal.SIGINT)
    assert quell.wait(5) == -signal.SIGINT, "it waited for the step"
    assert marked.marks()["one"] == 0
    quell.start()
    check(quell, marked)


def test_another_replica_goes_on_at_once(
    marked: MarkedHost, kafka: KafkaBroker, postgres: PostgresServer, tmp_path: Path
) -> None:
    database = postgres.create_database()
    shared = {"stream": stream_section(kafka), "store": {"url": postgres.url(database)}}
    with ExitStack() as running:
        running.callback(postgres.drop_database, database)
        replicas = []
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            sections = {**marked.settings(tmp_path / name), **shared}
            address = f"127.0.0.1:{free_port()}"
            replicas.append(Quell(tmp_path / name, address, sections, ["serve"]))
            running.callback(replicas[-1].kill)
            replicas[-1].start()
        assert send_one(replicas[0].url, marked.labels("one", "slowly")) == 200
        wait_until(lambda: marked.begun()["one"] == 1, "the step has begun on the host", 30)
        asked = "SELECT worker FROM tasks WHERE kind = 'run'"
        holder = int(postgres.ask_of(database, asked).rpartition("/")[2])
        replicas.sort(key=lambda each: each.pid != holder)
        leaving, staying = replicas
        assert (leaving.pid, staying.pid != holder) == (holder, True)

        leaving.signal(signal.SIGTERM)
        assert leaving.wait(15 + CLOSE_WITHIN_S) == 0
        began = time.monotonic()
        wait_for_runs(staying, 1)
        # A lease that had to run out would take 30 s.
        assert time.monotonic() - began < 10
        check(staying, marked)
        (ended,) = bodies(staying.story(staying.wait_for_incident("mark-wanted")), "attempt.ended")
        assert ended["outcome"] == "succeeded"
