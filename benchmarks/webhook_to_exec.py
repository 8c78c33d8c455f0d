"""How long from a webhook's first byte to the exec line of its remedy in the host's own record.

`python -m benchmarks.webhook_to_exec`, from the root of the repository. The rule is in auto; 100
alerts, one each 100 ms, each opening an incident of its own with a run of its own.
"""

import http.client
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import calibration_loop, quantile, timed
from tests.scenarios.quell import Quell
from tests.services.kafka import KafkaBroker
from tests.services.postgres import PostgresServer
from tests.services.process import free_port, wait_until
from tests.services.ssh_host import SshHost, running_ssh_host

ALERTS = 100
EVERY_S = 0.1
TARGETS = 10
# The last run's end, for a machine that is much slower than its alerts come.
DEADLINE_S = 120.0
# Targets to which each connection is a new one.
ALONE = (*(f"warm-{n}" for n in range(TARGETS)), *(f"new-{n}" for n in range(ALERTS)))

WHAT_IS_INSIDE = f"""\
{ALERTS} alerts, one each {EVERY_S * 1000:.0f} ms, to {TARGETS} targets at one sshd here; each opens
an incident and starts a run in auto.
Inside each figure: HTTP in, parsing, the durable append to the stream; reading it back,
classifying, the transaction that opens incident and run; claiming the task, planning, the precheck
(the verification's own read: one `test -e` over SSH, journaled), the intent's transaction; the SSH
session of the change; and the host's recorder itself (sh and date) until it takes the time.
open: the connection to the target is open before. new: none is, so the precheck opens one (TCP,
key exchange, host key and public key), which the change then uses; so that each is new, each alert
has a target of its own."""

RULES = """
language: 1
rules:
  - id: benchmark
    description: One incident and one run an alert
    matchers: ['alertname="Benchmark"']
    severity: P3
    group_by: [number]
    mode: auto
    playbook: mark
    with: {host: '${{ alert.target }}', number: '${{ alert.labels.number }}'}
"""
PLAYBOOK = """
language: 1
id: mark
description: Leave a mark on the host, and see that it is there
max_mode: auto
parameters:
  host: {type: target, kind: host}
  number: {type: string, pattern: '^[a-z0-9-]+$'}
steps:
  - id: mark
    uses: ssh.run
    with: {host: '${{ params.host }}', command: mark, args: {number: '${{ params.number }}'}}
    rollback: none
verify:
  - id: marked
    uses: ssh.read
    with: {host: '${{ params.host }}', command: marked, args: {number: '${{ params.number }}'}}
    until: result.exit_code == 0
    within: 10s
"""
POLICY = "language: 1\nrequire_for_auto: [verify, precheck]\n"


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds from first byte to exec line, with the machine's state right before."""

    storage: str
    connections: str
    latencies_ms: tuple[float, ...]
    load_average: float
    calibration_ms: float

    def row(self) -> str:
        """One line of the table."""
        p50, p99 = quantile(self.latencies_ms, 0.5), quantile(self.latencies_ms, 0.99)
        return (
            f"{self.storage:18} {self.connections:11} {len(self.latencies_ms):6} {p50:8.1f} "
            f"{p99:8.1f} {max(self.latencies_ms):8.1f} {self.load_average:5.1f} "
            f"{self.calibration_ms:14.1f}"
        )


HEADING = (
    f"{'storage':18} {'connections':11} {'alerts':>6} {'p50_ms':>8} {'p99_ms':>8} {'max_ms':>8} "
    f"{'load':>5} {'calibration_ms':>14}"
)


def main() -> None:
    """Measure every combination and print the table."""
    print(WHAT_IS_INSIDE)
    print(HEADING, flush=True)
    for storage in ("embedded", "kafka + postgresql"):
        with running_ssh_host() as host, storage_sections(storage) as sections:
            for figures in measured(storage, sections, host):
                print(figures.row(), flush=True)


def measured(storage: str, sections: Mapping[str, object], host: SshHost) -> Iterator[Figures]:
    """Both kinds of connections over one quell process, after a few alerts that don't count."""
    with started_quell(sections, host) as quell:
        fire(quell, host, "warm-up", [f"open-{n}" for n in range(TARGETS)])
        fire(quell, host, "warm-up-new", [f"warm-{n}" for n in range(TARGETS)])
        targets = {
            "open": [f"open-{n % TARGETS}" for n in range(ALERTS)],
            "new": [f"new-{n}" for n in range(ALERTS)],
        }
        for connections, names in targets.items():
            load_average = os.getloadavg()[0]
            calibration_ms = timed(calibration_loop)() * 1000
            latencies_ms = fire(quell, host, connections, names)
            yield Figures(storage, connections, latencies_ms, load_average, calibration_ms)


def fire(quell: Quell, host: SshHost, batch: str, targets: list[str]) -> tuple[float, ...]:
    """One alert for each of `targets`; the milliseconds of each until its exec line.

    Raises AssertionError when an alert was refused or a remedy came twice, ServiceError when one
    never came.
    """
    numbers = [f"{batch}-{n}" for n in range(len(targets))]
    sending: list[Future[float]] = []
    with ThreadPoolExecutor(max_workers=32) as senders:
        began = time.monotonic()
        for n, (number, target) in enumerate(zip(numbers, targets, strict=True)):
            time.sleep(max(0.0, began + n * EVERY_S - time.monotonic()))
            sending.append(senders.submit(post, quell.url, number, target))
    sent_at = [each.result() for each in sending]
    wait_until(
        lambda: ended(quell, numbers), f"{len(numbers)} runs of {batch} succeeded", DEADLINE_S
    )
    executed_at: dict[str, float] = {}
    for each in host.commands():
        words = each.command.split()
        number = words[-1].rpartition("/")[2]
        if "touch" in words and number in numbers:
            assert number not in executed_at, f"{number!r} was executed twice"
            executed_at[number] = each.at
    return tuple(
        (executed_at[number] - at) * 1000 for number, at in zip(numbers, sent_at, strict=True)
    )


def post(url: str, number: str, target: str) -> float:
    """Send what an Alertmanager would; the time right before the first byte is sent."""
    labels = {"alertname": "Benchmark", "number": number, "instance": target}
    body = json.dumps({"version": "4", "alerts": [{"status": "firing", "labels": labels}]})
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    connection.connect()
    sent_at = time.time()
    connection.request(
        "POST", "/v1/alerts/alertmanager", body, {"Content-Type": "application/json"}
    )
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    assert answer.status == 200, said
    return sent_at


def ended(quell: Quell, numbers: list[str]) -> bool:
    """Whether every run succeeded; looked at twice a second, so that looking costs little."""
    time.sleep(0.5)
    outcomes: dict[str | None, str] = {}
    page = quell.get("/v1/incidents?limit=500")
    while True:
        outcomes |= {each["group"].get("number"): each["outcome"] for each in page["incidents"]}
        if page["next_cursor"] is None:
            return all(outcomes.get(number) == "succeeded" for number in numbers)
        page = quell.get(f"/v1/incidents?limit=500&cursor={page['next_cursor']}")


@contextmanager
def started_quell(
    sections: Mapping[str, object], host: SshHost, rules: str = RULES, alone: Sequence[str] = ALONE
) -> Iterator[Quell]:
    """A quell over the benchmark's own rule, playbook, commands, inventory and policy."""
    with tempfile.TemporaryDirectory(prefix="quell-benchmark-") as name:
        folder = Path(name)
        for path, text in (
            ("rules/benchmark.yaml", rules),
            ("playbooks/mark.yaml", PLAYBOOK),
            ("commands.yaml", json.dumps(commands(folder))),
            ("inventory.yaml", json.dumps(inventory(host, alone))),
            ("policy.yaml", POLICY),
        ):
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(text)
        settings = {
            "rules_dir": "rules",
            "playbooks_dir": "playbooks",
            "commands": "commands.yaml",
            "inventory": "inventory.yaml",
            "policy": "policy.yaml",
            **sections,
        }
        quell = Quell(folder, f"127.0.0.1:{free_port()}", settings, ["serve"])
        quell.start()
        try:
            yield quell
        finally:
            quell.stop()


def commands(folder: Path) -> dict[str, object]:
    """commands.yaml: leave a mark, and look whether it is there."""
    number = {"number": {"type": "string", "pattern": "^[a-z0-9-]+$"}}
    mark = f"{folder}/${{{{ args.number }}}}"
    return {
        "language": 1,
        "commands": {
            "mark": {
                "argv": ["touch", mark],
                "args": number,
                "effect": "change",
                "repeat": "harmless",
            },
            "marked": {
                "argv": ["test", "-e", mark],
                "args": number,
                "effect": "read",
                "repeat": "harmless",
            },
        },
    }


def inventory(host: SshHost, alone: Sequence[str]) -> dict[str, object]:
    """inventory.yaml: one sshd under many names.

    A connection is open to all targets that share its name, so each target that wants a new one
    has a name of its own.
    """
    ssh = {
        "uses": "ssh",
        "user": host.user,
        "client_key": str(host.client_key),
        "known_hosts": str(host.known_hosts),
    }
    routes = {f"open-{n}": f"ssh-open-{n}" for n in range(TARGETS)}
    routes |= {name: f"ssh-{name}" for name in alone}
    return {
        "language": 1,
        "targets": {
            name: {
                "kind": "host",
                "address": host.address,
                "port": host.port,
                "connection": connection,
            }
            for name, connection in routes.items()
        },
        "connections": dict.fromkeys(routes.values(), ssh),
    }


@contextmanager
def storage_sections(storage: str) -> Iterator[Mapping[str, object]]:
    """The sections of quell.yaml for this storage, whose servers run while this is open."""
    with ExitStack() as servers:
        if storage == "embedded":
            yield {}
            return
        folder = Path(tempfile.mkdtemp(prefix="quell-benchmark-"))
        servers.callback(shutil.rmtree, folder)
        for name in ("kafka", "postgres"):
            (folder / name).mkdir()
        folder.chmod(0o755)  # PostgreSQL's own user has to get through
        kafka, postgres = KafkaBroker(folder / "kafka"), PostgresServer(folder / "postgres")
        servers.callback(kafka.kill)
        kafka.start()
        servers.callback(postgres.kill)
        postgres.start()
        stream = {
            "uses": "kafka",
            "bootstrap_servers": [kafka.bootstrap],
            "partitions": 12,
            "replication_factor": 1,
        }
        yield {"stream": stream, "store": {"url": postgres.url(postgres.create_database())}}


if __name__ == "__main__":
    main()
