"""How long a P1 waits that arrives last in a storm of P4s, against one that meets an idle quell.

`python -m benchmarks.p1_in_a_storm [P4S]`, from the root of the repository. P4S is 100,000 by
default. The P1's rule is in auto, so that its first act shows in the host's own record.
"""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.harness import calibration_loop, timed
from benchmarks.open_occurrences import alert, decided
from benchmarks.senders import WEBHOOK_PATH, cpu_s, post_all, webhook_body
from benchmarks.webhook_to_exec import fire, started_quell, storage_sections
from tests.scenarios.quell import Quell
from tests.services.process import wait_until
from tests.services.ssh_host import SshHost, running_ssh_host

P4S = 100_000
BODY_ALERTS = 100
SERVICES = 100
SENDERS = 4
STORAGES = ("embedded", "kafka + postgresql")
IDLE_GOAL_S, STORM_GOAL_S = 1.0, 10.0
# Alerts that meet an idle quell; the slowest counts.
IDLE = 5
# For a machine that decides on 100 alerts a second.
DEADLINE_S = P4S / 100

WHAT_IS_INSIDE = f"""\
P4s of {SERVICES} services in bodies of {BODY_ALERTS}, each a fingerprint of its own, from {SENDERS}
senders, each the next body right after its answer; then one P1, as soon as the last is answered.
idle_s and storm_s: from the P1's first byte to the exec line of its remedy in the host's record,
right after its intent (benchmarks.webhook_to_exec tells what is inside). behind: alerts in the
stream that nobody had decided on when the P1 came; those of its partition are decided on before it,
and the partitions take turns. decided_s: until all were. cpu_s: of the quell process for the storm.
Goals: idle {IDLE_GOAL_S:g} s, in the storm {STORM_GOAL_S:g} s at most."""

RULES = """
language: 1
rules:
  - id: urgent
    description: One incident and one run an alert
    matchers: ['alertname="Benchmark"']
    severity: P1
    group_by: [number]
    mode: auto
    playbook: mark
    with: {host: '${{ alert.target }}', number: '${{ alert.labels.number }}'}
  - id: storm
    description: What can wait
    matchers: ['alertname="InferenceQueueGrowing"']
    severity: P4
    group_by: [service]
    mode: suggest
"""
HEADING = (
    f"{'storage':18} {'P4s':>8} {'sent_s':>7} {'behind':>7} {'idle_s':>7} {'storm_s':>8} "
    f"{'decided_s':>9} {'cpu_s':>6} {'load':>5} {'calibration_ms':>14}"
)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one storm; seconds, except `calibration_ms`."""

    storage: str
    p4s: int
    sent_s: float
    behind: int
    idle_s: float
    storm_s: float
    decided_s: float
    cpu_s: float
    load_average: float
    calibration_ms: float

    def row(self) -> str:
        """One line of the table."""
        return (
            f"{self.storage:18} {self.p4s:8,} {self.sent_s:7.1f} {self.behind:7,} "
            f"{self.idle_s:7.2f} {self.storm_s:8.2f} {self.decided_s:9.1f} {self.cpu_s:6.1f} "
            f"{self.load_average:5.1f} {self.calibration_ms:14.1f}"
        )


def main() -> None:
    """Measure each storage and print the table."""
    p4s = int(sys.argv[1]) if len(sys.argv) > 1 else P4S
    print(WHAT_IS_INSIDE)
    print(HEADING, flush=True)
    for storage in STORAGES:
        with running_ssh_host() as host, storage_sections(storage) as sections:
            print(measured(storage, sections, host, p4s).row(), flush=True)


def measured(
    storage: str, sections: Mapping[str, object], host: SshHost, p4s: int, idle: int = IDLE
) -> Figures:
    """One storm over one quell process, after a few P1s alone."""
    with started_quell(sections, host, RULES, alone=()) as quell:
        fire(quell, host, "warm-up", ["open-0"])
        idle_ms = [fire(quell, host, f"idle-{n}", ["open-0"])[0] for n in range(idle)]
        bodies = storm(p4s)
        load_average = os.getloadavg()[0]
        calibration_ms = timed(calibration_loop)() * 1000
        before, began = cpu_s(quell.pid), time.monotonic()
        post_all(quell.url, WEBHOOK_PATH, bodies, SENDERS)
        sent_s, behind = time.monotonic() - began, waiting(quell)
        (storm_ms,) = fire(quell, host, "storm", ["open-0"])
        wait_until(lambda: decided(quell, p4s + idle + 2), "the storm is over", DEADLINE_S)
        return Figures(
            storage=storage,
            p4s=p4s,
            sent_s=sent_s,
            behind=behind,
            idle_s=max(idle_ms) / 1000,
            storm_s=storm_ms / 1000,
            decided_s=time.monotonic() - began,
            cpu_s=cpu_s(quell.pid) - before,
            load_average=load_average,
            calibration_ms=calibration_ms,
        )


def storm(p4s: int) -> Sequence[bytes]:
    """Its bodies."""
    return [
        webhook_body(
            [alert(number, number % SERVICES) for number in range(at, min(at + BODY_ALERTS, p4s))]
        )
        for at in range(0, p4s, BODY_ALERTS)
    ]


def waiting(quell: Quell) -> int:
    """Records in the stream that aren't decided on."""
    found: int = quell.get("/v1/balance")["waiting"]
    return found


if __name__ == "__main__":
    main()
