"""Somebody sets a machine's clock wrong by hours, and right again, while quell works on it."""

import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.scenarios.marks import TARGETS, MarkedHost, marked_host, wait_for_runs
from tests.scenarios.quell import Quell
from tests.scenarios.replicas import running_replicas
from tests.scenarios.senders import send_one
from tests.services.process import free_port, wait_until
from tests.services.ssh_host import SshHost
from tests.services.wall_clock import WallClock

HOURS = 4
# A run that is tried again, its step and its verification.
DONE_WITHIN_S = 20.0


@pytest.fixture
def marked(ssh_host: SshHost) -> MarkedHost:
    return marked_host(ssh_host)


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    return WallClock(tmp_path)


@pytest.fixture(params=["sqlite", "postgres"])
def quell(
    request: pytest.FixtureRequest, marked: MarkedHost, clock: WallClock, tmp_path: Path
) -> Iterator[Quell]:
    """One whose machine has this clock, with the store of one process and with that of several."""
    with ExitStack() as running:
        if request.param == "sqlite":
            address = f"127.0.0.1:{free_port()}"
            sections = marked.settings(tmp_path)
            made = Quell(tmp_path, address, sections, ["serve"], clock.environment)
            running.callback(made.kill)
        else:
            services = map(request.getfixturevalue, ("kafka", "postgres"))
            replicas = running.enter_context(running_replicas(tmp_path, marked, *services))
            made = replicas.add("only", environment=clock.environment)
        made.start()
        yield made


def send(quell: Quell, marked: MarkedHost, word: str, how: str = "quickly") -> None:
    """Each wants its mark on a target of its own."""
    target = TARGETS[sum(map(ord, word)) % len(TARGETS)]
    assert send_one(quell.url, marked.labels(word, how, target)) == 200


def refusals(quell: Quell) -> list[str]:
    """What its log says of changes that it put off because of the clock."""
    return [line for line in quell.log().splitlines() if "s off the store's" in line]


def tried_again_within_s(quell: Quell) -> float:
    """Each refusal puts a run off twice as long as the one before, and up to half as long more."""
    per_run = Counter(json.loads(line)["task"] for line in refusals(quell))
    return 1.5 * 2.0 ** max(per_run.values())


@pytest.mark.parametrize(
    "hours",
    [
        pytest.param(HOURS, id="forward"),
        pytest.param(-HOURS, id="back", marks=pytest.mark.slow),
    ],
)
def test_nothing_begins_while_the_clock_is_wrong_and_all_goes_on_once_it_is_right(
    quell: Quell, marked: MarkedHost, clock: WallClock, hours: int
) -> None:
    send(quell, marked, "asked", "asked")
    asking = quell.wait_for_incident("mark-wanted", phase="awaiting_approval")
    send(quell, marked, "before", "slowly")
    wait_until(lambda: marked.begun()["before"] == 1, "a step is under way", 20)
    clock.move(hours)
    send(quell, marked, "during")
    wait_until(lambda: len(refusals(quell)) >= 2, "it says twice why it changes nothing", 30)
    wait_until(lambda: marked.marks() == {"before": 1}, "the step ends", 20)
    assert f"{hours * 3600:+d} s off the store's" in refusals(quell)[-1]
    # An approval expires by the store's clock, and a person's answer counts.
    assert quell.story(asking)["phase"] == "awaiting_approval"
    assert quell.verb("approve", asking["name"])["approval"]["state"] == "approved"
    known = len(refusals(quell))
    wait_until(lambda: len(refusals(quell)) > known, "nor does it begin what was approved", 60)
    assert marked.marks() == {"before": 1}
    clock.move(0)
    ends = wait_for_runs(quell, 3, tried_again_within_s(quell) + DONE_WITHIN_S)
    assert [end["outcome"] for end in ends] == ["succeeded"] * 3, ends
    assert marked.marks() == {"before": 1, "during": 1, "asked": 1}
    assert quell.verb("balance")["difference"] == 0
    assert quell.verb("audit", "verify")["faults"] == []


def as_prometheus(quell: Quell, ends_in: timedelta) -> None:
    """One alert by Alertmanager's API, as Prometheus sends it: its end says what it means."""
    alert = {
        "labels": {"alertname": "FanNoisy", "service": "fans"},
        "endsAt": (datetime.now(UTC) + ends_in).isoformat(),
    }
    request = urllib.request.Request(
        f"{quell.url}/api/v2/alerts",
        json.dumps([alert]).encode(),
        {"content-type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=10).close()


def wait_for_fans(quell: Quell, status: str) -> None:
    """What Prometheus sent is an incident, and it has this status."""

    def look() -> bool:
        return [each["status"] for each in quell.incidents() if each["service"] == "fans"] == [
            status
        ]

    wait_until(look, f"the fans' only incident is {status}", 20)


@pytest.mark.parametrize("hours", [HOURS, -HOURS], ids=["forward", "back"])
def test_what_was_taken_meanwhile_is_dated_by_the_store_s_clock(
    quell: Quell, clock: WallClock, hours: int
) -> None:
    for off in (hours, 0):
        # By a clock that is ahead the first would be over, by one behind the second to come.
        clock.move(off)
        as_prometheus(quell, timedelta(minutes=4))
        wait_for_fans(quell, "open")
        as_prometheus(quell, -timedelta(seconds=1))
        wait_for_fans(quell, "resolved")
    became = quell.get("/v1/balance")["dispositions"]
    assert "stale" not in became, "what came once the clock was right is newer"
    assert became["resolved"] == 2
