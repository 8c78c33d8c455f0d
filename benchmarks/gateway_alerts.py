"""Durable alerts per CPU second of quell's gateway, against what Alertmanager takes in memory.

`python -m benchmarks.gateway_alerts [ALERTS]`, from the root of the repository. ALERTS, 20,000 by
default, is how many one figure is made of.
"""

import itertools
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from benchmarks.harness import Variant, compare
from benchmarks.open_occurrences import started_quell
from benchmarks.senders import API_PATH, api_alert, api_body, cpu_s, post_all
from tests.scenarios.quell import Quell
from tests.services.alertmanager import Alertmanager
from tests.services.kafka import KafkaBroker
from tests.services.process import free_port

ALERTS = 20_000
SERVICES = 100
PAIRS = 5
# By the size of a body: enough senders at once that a body rarely waits for an empty gateway.
CONNECTIONS = {1: 64, 100: 8}
STREAMS = ("embedded", "kafka")

WHAT_IS_INSIDE = """\
The same bodies of Alertmanager's own API (POST /api/v2/alerts; 8 labels and 3 annotations, some
700 bytes an alert, each alert of its own) to Alertmanager and to `quell serve --only gateway`, so
that nobody decides on them meanwhile. quell answers after the alerts are durable in its stream,
Alertmanager after they are in its memory; it notifies nobody, and logs as it comes.
Figures are alerts per CPU second (user and system) of the one process that answers. The senders'
time isn't in them, and neither is the Kafka broker's."""

# One sender may send as fast as it can here.
UNBOUNDED = {"requests_per_s": 1_000_000, "burst": 1_000_000}
# Nothing is sent to anybody while it is measured.
ALERTMANAGER = {
    "route": {"receiver": "nobody", "group_by": ["alertname"], "group_wait": "1h"},
    "receivers": [{"name": "nobody"}],
}


def main() -> None:
    """Measure every combination and print the tables."""
    alerts = int(sys.argv[1]) if len(sys.argv) > 1 else ALERTS
    print(WHAT_IS_INSIDE, flush=True)
    with running_alertmanager() as alertmanager:
        for stream in STREAMS:
            with running_gateway(stream) as quell:
                for size in sorted(CONNECTIONS, reverse=True):
                    rivals = (
                        Variant(
                            "alertmanager", taking(alertmanager.url, alertmanager.pid, alerts, size)
                        ),
                        Variant("quell", taking(quell.url, quell.pid, alerts, size)),
                    )
                    print(f"\n{stream}, bodies of {size}:")
                    print(compare(*rivals, unit="alerts/cpu_s", pairs=PAIRS).table(), flush=True)


def taking(url: str, pid: int, alerts: int, size: int) -> Callable[[], float]:
    """A measurement: so many alerts in bodies of `size`, and what they cost their taker."""
    rounds = itertools.count()

    def measure() -> float:
        first = next(rounds) * alerts
        numbers = range(first, first + alerts)
        bodies = [
            api_body([api_alert(number, number % SERVICES) for number in numbers[at : at + size]])
            for at in range(0, alerts, size)
        ]
        before = cpu_s(pid)
        post_all(url, API_PATH, bodies, CONNECTIONS[size])
        return alerts / (cpu_s(pid) - before)

    return measure


@contextmanager
def running_alertmanager() -> Iterator[Alertmanager]:
    """One that takes alerts and tells nobody."""
    with tempfile.TemporaryDirectory(prefix="quell-benchmark-") as name:
        folder = Path(name)
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(ALERTMANAGER))
        server = Alertmanager(folder, free_port(), log_level="info")
        server.process.start(server.answers)
        try:
            yield server
        finally:
            server.process.stop()


@contextmanager
def running_gateway(stream: str) -> Iterator[Quell]:
    """A quell that takes alerts into this stream and does nothing else."""
    with (
        stream_section(stream) as section,
        started_quell({**section, "intake": UNBOUNDED}, ["serve", "--only", "gateway"]) as quell,
    ):
        yield quell


@contextmanager
def stream_section(stream: str) -> Iterator[Mapping[str, object]]:
    """The section of quell.yaml for a stream, whose broker runs while this is open."""
    with ExitStack() as servers:
        if stream == "embedded":
            yield {}
            return
        folder = Path(tempfile.mkdtemp(prefix="quell-benchmark-"))
        servers.callback(shutil.rmtree, folder)
        kafka = KafkaBroker(folder)
        servers.callback(kafka.kill)
        kafka.start()
        yield {
            "stream": {
                "uses": "kafka",
                "bootstrap_servers": [kafka.bootstrap],
                "partitions": 12,
                "replication_factor": 1,
            }
        }


if __name__ == "__main__":
    main()
