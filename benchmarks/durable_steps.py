"""Durable steps a second of quell's runs against DBOS Transact, on the same database and fsync.

`python -m benchmarks.durable_steps [PAIRS]`, from the root of the repository, with PostgreSQL
installed. It makes an environment for DBOS (MIT) in the cache on its first run, beside quell's own.

A step does nothing on both sides, so what is measured is keeping it: DBOS commits its result, quell
its intent and its result, each before what follows. Both sides have one process, a new database
each time, a run before the clock starts, and uvloop, as `quell serve` has it. SQLite: write-ahead
log and synchronous=FULL on both (DBOS alone would use a rollback journal, which syncs more often).
PostgreSQL: one server, fsync and synchronous_commit on. DBOS has its asynchronous workflows with
its pool of 20 connections, the fastest of what was tried: with threads, with a pool of 5, 64, and
with its queue it was slower.

quell has its pipeline's decision, its task loop, run machine and store. Its action declares that
repeating it is harmless, which is what DBOS takes for granted of a step. Inside its figure is all
of a run: the plan, the precheck, the source's word, guards, a lock, the verification.
"""

import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import uvloop
from msgspec import structs
from typing_extensions import override

from benchmarks.harness import Variant, compare
from engine.app.activation import Catalogs
from engine.app.process import SystemClock
from engine.catalog import CatalogSources, load_catalog
from engine.core.actions import Call, Declaration, Effect, Estate, Input, Prepared, Repeat, Result
from engine.core.alert import Alert
from engine.core.catalog import Catalog
from engine.core.expressions import ValueType
from engine.core.json_value import Json
from engine.ports.action import Action
from engine.ports.confirming import Confirming
from engine.ports.masked_action import MaskedAction
from engine.ports.metrics import Metrics
from engine.ports.rows import IncidentFilter, Task
from engine.ports.store import Store
from engine.ports.stream import Batch
from engine.stages.deciding import decide
from engine.stages.intake import StreamIntake
from engine.stages.runs import RunStage
from engine.stages.tasks import TaskLoop
from engine.store.embedded_stream import EmbeddedStream
from engine.store.postgres_store import PostgresStore
from engine.store.sqlite_store import SqliteStore
from tests.doubles.declarations import firing
from tests.doubles.scripted import ScriptedAction, ScriptedSource
from tests.doubles.written import keep_texts
from tests.services.postgres import running_postgres

PAIRS = 5
STEPS = 20
WANTED = ("dbos==3.4.0", "uvloop==0.23.0")
CACHE = Path.home() / ".cache" / "quell" / "dbos-on-uvloop"
SQLITE = "sqlite:///"
# (runs, of these at once, the goal as a multiple of DBOS's rate)
SHAPES = ((8, 1, 2), (64, 64, 10))
GROUP = 64
FLOOR_COMMITS = 200
CLOCK = SystemClock()

DBOS = """
import asyncio, json, sys, time
import uvloop
from dbos import DBOS

url, runs, at_once, steps = sys.argv[1], *map(int, sys.argv[2:])
DBOS(config={
    "name": "steps", "system_database_url": url, "sys_db_pool_size": 20,
    "run_admin_server": False, "log_level": "ERROR",
})

@DBOS.step()
async def nothing(number):
    return number

@DBOS.workflow()
async def run():
    for number in range(steps):
        await nothing(number)

async def main():
    await run()
    left = iter(range(runs))
    async def worker():
        for _ in left:
            await run()
    began, before = time.monotonic(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    print(json.dumps([time.monotonic() - began, time.process_time() - before]))

DBOS.launch()
uvloop.run(main())
DBOS.destroy()
"""

PLAYBOOK = """language: 1
id: steps
description: Do nothing, durably
max_mode: auto
parameters:
  host: {type: target, kind: host}
steps:
%s
verify:
  - {id: done, uses: lab.done, with: {host: '${{ params.host }}'}, until: result.ok, within: 5m}
"""
STEP = (
    "  - {id: step_%d, uses: lab.nothing, with: {host: '${{ params.host }}'}, "
    "timeout: 60s, rollback: none}"
)
RULES = """language: 1
rules:
  - id: steps
    description: A run for each alert
    matchers: ['alertname="Steps"']
    severity: P3
    group_by: [target]
    mode: auto
    playbook: steps
    with: {host: '${{ alert.target }}'}
"""
POLICY = "language: 1\nrequire_for_auto: [verify, precheck]\n"


def declared(name: str, effect: Effect) -> Declaration:
    return Declaration(
        name=name,
        version=1,
        description="Does nothing",
        inputs={"host": Input(ValueType.STRING, names="target")},
        outputs={"ok": ValueType.BOOL},
        effects=frozenset({effect}),
    )


DECLARED = {
    each.name: each
    for each in (declared("lab.nothing", Effect.CHANGE), declared("lab.done", Effect.READ))
}


@dataclass
class Nothing(ScriptedAction):
    """Counts the steps of each host; as a read, says whether all were made."""

    made: Counter[str] = field(default_factory=Counter)

    @override
    def prepare(
        self, inputs: Mapping[str, Json], estate: Estate, connection: str | None
    ) -> Prepared:
        (effect,) = self.declaration.effects
        host = str(inputs["host"])
        return Prepared(effect, Repeat.HARMLESS, "", (host,), f"nothing on {host}", dict(inputs))

    @override
    async def execute(self, call: Call) -> Result:
        host = str(call.prepared.payload["host"])
        if self.declaration.effects == {Effect.CHANGE}:
            self.made[host] += 1
        return Result(succeeded=True, outputs={"ok": self.made[host] >= STEPS})


@dataclass(frozen=True, slots=True)
class Quell:
    """Pipeline, worker and store of a quell whose actions cost nothing."""

    store: Store
    stream: EmbeddedStream
    catalog: Catalog
    made: Counter[str]

    async def run(self, hosts: Iterable[str], at_once: int) -> tuple[float, float]:
        """Seconds of wall clock and CPU from the first claim to the last run's end."""
        await self.fire(hosts)
        over, left = asyncio.Event(), len(list(hosts))
        stage, metrics = self.stage(), Metrics()

        async def advance(task: Task) -> None:
            nonlocal left
            await stage.advance(task)
            left -= 1
            if not left:
                over.set()

        loop = TaskLoop(self.store, CLOCK, "w", {"run": advance}, metrics, concurrent=at_once)
        began, before = time.monotonic(), time.process_time()
        async with asyncio.TaskGroup() as group:
            working = group.create_task(loop.run())
            await over.wait()
            took_s, cpu_s = time.monotonic() - began, time.process_time() - before
            working.cancel()
        return took_s, cpu_s

    async def fire(self, hosts: Iterable[str]) -> None:
        """One alert a host is taken in and decided on; each starts a run."""
        alerts = [alert(host) for host in hosts]
        before = (await self.stream.end_offsets())[0]
        await StreamIntake(self.store, self.stream, CLOCK).accept("alertmanager", alerts, 0)
        batch = Batch(0, await self.stream.read(0, before, len(alerts)))
        name = self.stream.name
        await self.store.write(lambda tx: decide(tx, name, batch, before, self.catalog))

    def stage(self) -> RunStage:
        actions: dict[str, Action] = {
            name: MaskedAction(Nothing(each, made=self.made)) for name, each in DECLARED.items()
        }
        source = ScriptedSource()
        return RunStage(
            self.store,
            CLOCK,
            Catalogs(self.catalog, DECLARED),
            actions,
            Confirming({source.name: source}, CLOCK),
            Metrics(),
        )

    async def check(self, runs: int) -> None:
        """Raises AssertionError unless every run succeeded, with each step made once."""
        found = await self.store.read(lambda tx: tx.incidents(IncidentFilter(limit=1000)))
        assert [each.outcome for each in found] == ["succeeded"] * runs
        assert list(self.made.values()) == [STEPS] * runs


def alert(host: str) -> Alert:
    now = CLOCK.now()
    return structs.replace(firing("Steps", instance=host), starts_at=now, received_at=now)


@asynccontextmanager
async def opened(folder: Path, url: str, hosts: Iterable[str]) -> AsyncIterator[Quell]:
    """Over a new database at `url`."""
    catalog = written(folder, hosts)
    is_file = url.startswith(SQLITE)
    store = SqliteStore(Path(url.removeprefix(SQLITE)), CLOCK) if is_file else PostgresStore(url)
    stream = EmbeddedStream(folder / "stream.db", partitions=1)
    await store.open()
    await stream.open()
    try:
        await store.write(lambda tx: keep_texts(tx, catalog))
        yield Quell(store, stream, catalog, Counter())
    finally:
        await stream.close()
        await store.close()


def written(folder: Path, hosts: Iterable[str]) -> Catalog:
    inventory = {"language": 1, "targets": {host: {"kind": "host"} for host in hosts}}
    steps = "\n".join(STEP % number for number in range(STEPS))
    for path, text in (
        ("rules/steps.yaml", RULES),
        ("playbooks/steps.yaml", PLAYBOOK.replace("%s", steps)),
        ("inventory.yaml", json.dumps(inventory)),
        ("policy.yaml", POLICY),
    ):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    sources = CatalogSources(
        rules=[folder / "rules"],
        playbooks=[folder / "playbooks"],
        inventory=folder / "inventory.yaml",
        policy=folder / "policy.yaml",
    )
    return load_catalog(sources, DECLARED)


async def quell_side(url: str, runs: int, at_once: int) -> tuple[float, float]:
    """As `Quell.run`, of so many runs."""
    hosts = [f"host-{number}" for number in range(runs + 1)]
    with tempfile.TemporaryDirectory(prefix="quell-steps-") as name:
        async with opened(Path(name), url, hosts) as quell:
            await quell.run(hosts[:1], at_once)
            took = await quell.run(hosts[1:], at_once)
            await quell.check(len(hosts))
    return took


@dataclass
class Side:
    """One side's program: its command up to the arguments; `cpu_ms` are those of each sample."""

    command: list[str | Path]
    new_url: Callable[[], str]
    cpu_ms: list[float]

    def rate(self, runs: int, at_once: int) -> float:
        """Steps a second, on a new database."""
        argv = [*self.command, self.new_url(), str(runs), str(at_once), str(STEPS)]
        told = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        took_s, cpu_s = json.loads(told.splitlines()[-1])
        self.cpu_ms.append(cpu_s * 1000 / (runs * STEPS))
        return runs * STEPS / float(took_s)


def dbos() -> Path:
    """Its environment's Python, made where there is none."""
    python = CACHE / "bin" / "python"
    if not python.exists():
        print(f"installing {' and '.join(WANTED)} into {CACHE}")
        venv.create(CACHE, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *WANTED], check=True)
    return python


@contextmanager
def databases(storage: str) -> Iterator[Callable[[], str]]:
    """What gives the URL of a new database."""
    if storage == "postgresql":
        with running_postgres() as server:
            yield lambda: server.url(server.create_database())
        return
    with tempfile.TemporaryDirectory(prefix="quell-steps-") as name:
        numbers = iter(range(10**6))

        def new_url() -> str:
            path = Path(name) / f"{next(numbers)}.db"
            connection = sqlite3.connect(path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.close()
            return f"{SQLITE}{path}"

        yield new_url


def sqlite_floor() -> str:
    """Rows a second of SQLite itself here: a synced commit for each, and one for a group."""
    with tempfile.TemporaryDirectory(prefix="quell-steps-") as name:
        connection = sqlite3.connect(Path(name) / "floor.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE entries (body BLOB)")
        rates = []
        for group in (1, GROUP):
            began = time.monotonic()
            for _ in range(FLOOR_COMMITS):
                connection.execute("BEGIN IMMEDIATE")
                rows = [(bytes(400),)] * group
                connection.executemany("INSERT INTO entries VALUES (?)", rows)
                connection.execute("COMMIT")
            rates.append(FLOOR_COMMITS * group / (time.monotonic() - began))
        connection.close()
    return f"SQLite's own floor: {rates[0]:,.0f} rows/s, a commit each; {rates[1]:,.0f} by {GROUP}"


def print_comparison(own: Side, other: Side, shape: tuple[int, int, int], pairs: int) -> None:
    runs, at_once, goal = shape
    found = compare(
        Variant("DBOS", lambda: other.rate(runs, at_once)),
        Variant("quell", lambda: own.rate(runs, at_once)),
        unit="steps/s",
        pairs=pairs,
    )
    print(f"{runs} runs of {STEPS} steps, {at_once} at once; goal {goal}. {sqlite_floor()}")
    print(found.table())
    for name, side in (("DBOS", other), ("quell", own)):
        low, middle, high = min(side.cpu_ms), median(side.cpu_ms), max(side.cpu_ms)
        print(f"{name}: CPU ms a step {middle:.2f} ({low:.2f} to {high:.2f})", flush=True)


def driver_url(new_url: Callable[[], str]) -> str:
    """The URL of a new database as DBOS wants it."""
    return new_url().replace("postgresql+asyncpg://", "postgresql://")


def main() -> None:
    """Print the comparison; or be quell's side of it."""
    if sys.argv[1:2] == ["quell"]:
        url, runs, at_once = sys.argv[2:5]
        print(json.dumps(uvloop.run(quell_side(url, int(runs), int(at_once)))))
        return
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    quell: list[str | Path] = [sys.executable, "-m", "benchmarks.durable_steps", "quell"]
    peer: list[str | Path] = [dbos(), "-c", DBOS]
    for storage in ("sqlite", "postgresql"):
        with databases(storage) as new_url:
            for shape in SHAPES:
                print(f"\n{storage}, ", end="")
                other = Side(peer, partial(driver_url, new_url), [])
                print_comparison(Side(quell, new_url, []), other, shape, pairs)


if __name__ == "__main__":
    main()
