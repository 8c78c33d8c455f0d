"""Alerts per CPU second of quell from the webhook to the committed decision, sustained.

`python -m benchmarks.webhook_to_decision [SECONDS]`, from the root of the repository. SECONDS, 60
by default, is how long alerts are sent for each line.
"""

import http.client
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from benchmarks.harness import calibration_loop, timed
from benchmarks.open_occurrences import alert, decided, opened, started_quell
from benchmarks.senders import WEBHOOK_PATH, cpu_s, post, webhook_body
from benchmarks.webhook_to_exec import storage_sections
from tests.scenarios.quell import Quell
from tests.services.process import wait_until

SECONDS = 60.0
BODY_ALERTS = 100
INCIDENTS = 100
# Of fingerprints that fire again and again.
REPEATED = 5_000
SENDERS = 4
STORAGES = ("embedded", "kafka + postgresql")
GOALS = {"distinct": 10_000, "repeats": 30_000}
# For what is still in the stream when the last body was answered.
DEADLINE_S = 900.0

WHAT_IS_INSIDE = f"""\
One `quell serve` with the shipped rules; firing alerts of 8 labels and 3 annotations by webhook in
bodies of {BODY_ALERTS}, from {SENDERS} senders, each the next one right after its answer; all taken
by the shipped rule `unmatched` into {INCIDENTS} incidents, one a service. distinct: each alert is a
fingerprint of its own. repeats: {REPEATED:,} fingerprints, which fire already, again and again.
Figures are alerts per CPU second (user and system) of the quell process, from the first byte until
the last alert is decided on and committed. The senders' time isn't in it, nor the broker's and the
database's. embedded is the embedded log and SQLite."""
HEADING = (
    f"{'storage':18} {'alerts':9} {'sent':>8} {'alerts/cpu_s':>12} {'of goal':>8} {'alerts/s':>9} "
    f"{'load':>5} {'calibration_ms':>14}"
)

# The numbers of the next body's alerts.
Numbers = Callable[[], range]


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one line; the machine's state is from right before it."""

    storage: str
    alerts: str
    sent: int
    cpu_s: float
    took_s: float
    load_average: float
    calibration_ms: float

    @property
    def per_cpu_s(self) -> float:
        return self.sent / self.cpu_s

    def row(self) -> str:
        """One line of the table."""
        return (
            f"{self.storage:18} {self.alerts:9} {self.sent:8,} {self.per_cpu_s:12,.0f} "
            f"{self.per_cpu_s / GOALS[self.alerts]:8.2f} {self.sent / self.took_s:9,.0f} "
            f"{self.load_average:5.1f} {self.calibration_ms:14.1f}"
        )


def main() -> None:
    """Measure every combination and print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    print(WHAT_IS_INSIDE)
    print(HEADING, flush=True)
    for storage in STORAGES:
        with storage_sections(storage) as sections, started_quell(sections, ["serve"]) as quell:
            for figures in measured(storage, quell, seconds):
                print(figures.row(), flush=True)


def measured(storage: str, quell: Quell, seconds: float) -> Iterator[Figures]:
    """Both kinds of alerts, one after the other, over one quell process.

    Raises AssertionError when an alert was refused, or decided on in another way than it should.
    """
    known = twice = 0
    for alerts, numbers in (("distinct", distinct()), ("repeats", repeats())):
        if alerts == "repeats":
            sent, again = fire(quell, numbers, known, bodies=REPEATED // BODY_ALERTS)
            known, twice = known + sent, twice + again
        load_average = os.getloadavg()[0]
        calibration_ms = timed(calibration_loop)() * 1000
        before, began = cpu_s(quell.pid), time.monotonic()
        sent, again = fire(quell, numbers, known, until=began + seconds)
        took_s, used_s = time.monotonic() - began, cpu_s(quell.pid) - before
        known, twice = known + sent, twice + again
        yield Figures(storage, alerts, sent, used_s, took_s, load_average, calibration_ms)
    assert len(opened(quell)) == INCIDENTS
    # What quell says of itself is counted under others.
    told = quell.get("/v1/balance")["dispositions"]
    assert known <= told["unmatched"] + told["repeat"] <= known + twice, told


def distinct() -> Numbers:
    """Each number once."""
    starts = itertools.count(REPEATED, BODY_ALERTS)
    return lambda: range(first := next(starts), first + BODY_ALERTS)


def repeats() -> Numbers:
    """The first ones in turn."""
    starts = itertools.cycle(range(0, REPEATED, BODY_ALERTS))
    return lambda: range(first := next(starts), first + BODY_ALERTS)


def fire(
    quell: Quell, numbers: Numbers, known: int, *, until: float = float("inf"), bodies: int = 10**9
) -> tuple[int, int]:
    """Send until a time of the monotonic clock or so many bodies; how many alerts are decided on.

    `known` were before. Of a body that was told 503 in its midst, and came again, some alerts may
    be decided on twice: also how many at most.
    """
    left = itertools.count(1)

    def send() -> tuple[int, int]:
        sent = refused = 0
        connection = http.client.HTTPConnection(quell.url.removeprefix("http://"), timeout=60)
        with closing(connection):
            while next(left) <= bodies and time.monotonic() < until:
                alerts = [alert(number, number % INCIDENTS) for number in numbers()]
                refused += post(connection, WEBHOOK_PATH, webhook_body(alerts)) * len(alerts)
                sent += len(alerts)
        return sent, refused

    with ThreadPoolExecutor(SENDERS) as senders:
        ends = [each.result() for each in [senders.submit(send) for _ in range(SENDERS)]]
    sent, twice = sum(each for each, _ in ends), sum(each for _, each in ends)
    wait_until(lambda: decided(quell, known + sent), "all alerts are decided on", DEADLINE_S)
    return sent, twice


if __name__ == "__main__":
    main()
