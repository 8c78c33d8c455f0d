"""What many open occurrences cost: memory of the process, processor time, and disk.

`python -m benchmarks.open_occurrences [OCCURRENCES [INCIDENTS]]`, from the root of the repository.
One `quell up` with the shipped rules, 100,000 firing alerts of eight labels by HTTP in bodies of
100, joined to 100 incidents. It reads memory as Linux counts it for a process (resident set).
"""

import http.client
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil

from engine.core.progress import OWN_SOURCE
from tests.scenarios.quell import Quell
from tests.services.process import free_port, wait_until

OCCURRENCES = 100_000
BODY_ALERTS = 100
INCIDENTS = 100
MIB = 1024 * 1024
# What a process does right after its start or after a storm (timers, a checkpoint) is over then.
SETTLED_S = 8.0
# For a machine that decides on 20 alerts a second.
DEADLINE_S = OCCURRENCES / 20

WHAT_IS_INSIDE = f"""\
One `quell up` without cloud extras on an empty folder; firing alerts of 8 labels and 3 annotations
(some 1.1 KB each in the stream) in bodies of {BODY_ALERTS}, one sender, next body after the answer;
all taken by the shipped rule `unmatched`, one incident a service. idle: {SETTLED_S:g} s after the
start. after: {SETTLED_S:g} s after the last alert was decided on."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one storm; memory is resident, `cpu_s` the process's user and system time for it."""

    occurrences: int
    incidents: int
    idle_bytes: int
    after_bytes: int
    cpu_s: float
    took_s: float
    store_bytes: int
    stream_bytes: int

    @property
    def added_bytes(self) -> int:
        """What the storm left in memory."""
        return self.after_bytes - self.idle_bytes

    def table(self) -> str:
        """For people, a figure a line."""
        rows = (
            ("open occurrences", f"{self.occurrences:,}"),
            ("incidents", f"{self.incidents:,}"),
            ("idle", f"{self.idle_bytes / MIB:.1f} MiB"),
            ("after", f"{self.after_bytes / MIB:.1f} MiB"),
            ("added", f"{self.added_bytes / MIB:.1f} MiB"),
            ("alerts per CPU second", f"{self.occurrences / self.cpu_s:,.0f}"),
            ("alerts per second", f"{self.occurrences / self.took_s:,.0f}"),
            ("store on disk", f"{self.store_bytes / MIB:.1f} MiB"),
            ("stream on disk", f"{self.stream_bytes / MIB:.1f} MiB"),
        )
        return "\n".join(f"{name:22} {figure:>12}" for name, figure in rows)


def main() -> None:
    """Measure and print."""
    occurrences, incidents = OCCURRENCES, INCIDENTS
    if len(sys.argv) > 1:
        occurrences, *others = map(int, sys.argv[1:])
        incidents = others[0] if others else INCIDENTS
    print(WHAT_IS_INSIDE, flush=True)
    with started_quell() as quell:
        print(storm(quell, occurrences, incidents).table())


def storm(quell: Quell, occurrences: int, incidents: int, settled_s: float = SETTLED_S) -> Figures:
    """Fire so many alerts, of so many services, at an idle quell.

    Raises AssertionError when one was refused or isn't open afterwards, ServiceError when they
    aren't decided on in time.
    """
    process = psutil.Process(quell.pid)
    time.sleep(settled_s)
    idle_bytes, cpu_before, began = process.memory_info().rss, cpu_s(process), time.monotonic()
    for first in range(0, occurrences, BODY_ALERTS):
        numbers = range(first, min(first + BODY_ALERTS, occurrences))
        post(quell.url, [alert(number, number % incidents) for number in numbers])
    wait_until(lambda: decided(quell, occurrences), "all alerts are decided on", DEADLINE_S)
    took_s = time.monotonic() - began
    time.sleep(settled_s)
    figures = Figures(
        occurrences=occurrences,
        incidents=incidents,
        idle_bytes=idle_bytes,
        after_bytes=process.memory_info().rss,
        cpu_s=cpu_s(process) - cpu_before,
        took_s=took_s,
        store_bytes=size_of(quell.data, "quell.db"),
        stream_bytes=size_of(quell.data, "stream.db"),
    )
    found = opened(quell)
    assert sum(each["open_occurrences"] for each in found) == occurrences
    assert len(found) == incidents
    return figures


def alert(number: int, service: int) -> Mapping[str, object]:
    """As an Alertmanager in front of a Kubernetes fleet sends it."""
    node = f"gpu-{number // 100:04}.fra.example"
    labels = {
        "alertname": "InferenceQueueGrowing",
        "service": f"llm-{service:02}",
        "namespace": f"tenant-{number % 40:02}",
        "pod": f"vllm-{number:06}-6d5f7c9b8-{number % 7919:05}",
        "instance": f"{node}:9100",
        "model": "llama-3.1-70b-instruct",
        "region": "eu-central-1",
        "severity": "warning",
    }
    return {
        "status": "firing",
        "labels": labels,
        "annotations": {
            "summary": f"The queue of {labels['pod']} has been growing for ten minutes",
            "description": f"{number} requests wait for a slot on {node}; the usual is below 20",
            "runbook_url": "https://runbooks.example/inference/queue-growing",
        },
        "startsAt": "2026-01-31T08:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "https://prometheus.example/graph?g0.expr=queue_depth%3E20&g0.tab=1",
        "fingerprint": f"{number:016x}",
    }


def post(url: str, alerts: list[Mapping[str, object]]) -> None:
    """Send what an Alertmanager would; a sender that is told 503 comes again."""
    body = json.dumps({"version": "4", "status": "firing", "alerts": alerts})
    headers = {"Content-Type": "application/json"}
    while True:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
        connection.request("POST", "/v1/alerts/alertmanager", body, headers)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        if answer.status != 503:
            break
        time.sleep(float(answer.headers["Retry-After"]))
    assert answer.status == 200, said


def opened(quell: Quell) -> Sequence[Mapping[str, Any]]:
    """The incidents, 500 at most, without what quell says of itself: so much is a storm."""
    found = quell.get("/v1/incidents?limit=500")["incidents"]
    return [each for each in found if each["service"] != OWN_SOURCE]


def decided(quell: Quell, records: int) -> bool:
    """Whether all are, looked at twice a second, so that looking costs little."""
    time.sleep(0.5)
    balance = quell.get("/v1/balance")
    done: int = sum(balance["dispositions"].values())
    return done >= records and balance["waiting"] == 0


def cpu_s(process: psutil.Process) -> float:
    """User and system time so far."""
    times = process.cpu_times()
    return times.user + times.system


def size_of(folder: Path, name: str) -> int:
    """A database's file with its write-ahead log."""
    return sum(path.stat().st_size for path in (folder / name, folder / f"{name}-wal"))


@contextmanager
def started_quell(
    sections: Mapping[str, object] = MappingProxyType({}), verb: Sequence[str] = ("up",)
) -> Iterator[Quell]:
    """quell as it comes, or with these sections of quell.yaml, on a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="quell-benchmark-") as name:
        quell = Quell(Path(name), f"127.0.0.1:{free_port()}", sections, verb)
        quell.start()
        try:
            yield quell
        finally:
            quell.stop()


if __name__ == "__main__":
    main()
