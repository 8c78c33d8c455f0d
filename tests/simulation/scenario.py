"""One simulated history from one seed: replicas, senders, people and an outside that misbehaves."""

import asyncio
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from structlog.testing import capture_logs

from engine.pipeline import Pipeline
from engine.ports.metrics import Metrics
from engine.stages.runs import RunStage
from engine.stages.tasks import TaskLoop
from engine.stages.ticks import TickStage
from tests.doubles.scripted import LOOK, MEND
from tests.doubles.written import WrittenCatalog, a_catalog, keep_texts
from tests.simulation.inline_store import Database, InlineStore, a_database
from tests.simulation.invariants import ONCALL, Invariants
from tests.simulation.outside import Lab, Log, MemoryStream, Target
from tests.simulation.outsiders import Outsiders
from tests.simulation.scheduler import Process, ProcessClock, Scheduler, SimulationLoop

# Until then (virtual) things go wrong; afterwards everything must come to its end.
STORM_S = 240.0
MAX_STEPS = 6000
RULES = """language: 1
defaults: {postmortem: []}
rules:
  - id: down
    description: A model server is down
    matchers: ['alertname="Down"']
    severity: P1
    group_by: [target]
    mode: %s
    playbook: mend
    with: {host: '${{ alert.target }}'}
  - id: unmatched
    description: What no other rule takes
    severity: P3
    group_by: [service]
    mode: suggest
"""
MEND_IT = """language: 1
id: mend
description: Restart the model server
max_mode: auto
parameters:
  host: {type: target, kind: host}
approval: {from: [role:oncall], expires: 90s}
steps:
  - id: restart
    uses: lab.mend
    with: {what: restart, host: '${{ params.host }}'}
    timeout: 10s
    retry: {attempts: 2, wait: 2s}
    rollback:
      - {id: undo, uses: lab.mend, with: {what: undo, host: '${{ params.host }}'}, timeout: 10s}
  - id: warm
    uses: lab.mend
    with: {what: warm, host: '${{ params.host }}'}
    timeout: 10s
    retry: {attempts: 2, wait: 2s}
    rollback: none
  - id: tidy
    uses: lab.mend
    with: {what: tidy, host: '${{ params.host }}'}
    timeout: 10s
    rollback: none
verify:
  - id: serves
    uses: lab.look
    with: {what: serves, host: '${{ params.host }}'}
    until: result.ok
    within: 10s
    every: 5s
    stable_for: 5s
"""


@cache
def _catalog(mode: str) -> WrittenCatalog:
    with tempfile.TemporaryDirectory() as folder:
        return a_catalog(Path(folder), RULES.replace("%s", mode), MEND_IT)


@cache
def _metrics() -> Metrics:
    return Metrics()


@dataclass(frozen=True, slots=True)
class Played:
    """What a seed came to."""

    seed: int
    violations: tuple[str, ...]
    history: tuple[str, ...]
    faults: Counter[str]
    kinds: Counter[str]
    crashed: Counter[tuple[str, str]]


@dataclass
class Simulation:
    """Everything of one seed."""

    scheduler: Scheduler
    database: Database
    log: Log
    target: Target
    catalogs: WrittenCatalog
    invariants: Invariants
    replicas: int = 0
    living: int = 0

    def start_replica(self) -> None:
        """A `quell serve` on the shared database and stream."""
        self.replicas += 1
        self.living += 1
        process = Process(f"replica{self.replicas}")
        process.task = asyncio.get_running_loop().create_task(self._serve(process))
        process.task.add_done_callback(lambda _: self._crashed(process))

    async def _serve(self, process: Process) -> None:
        scheduler = self.scheduler
        store, clock = InlineStore(self.database, process), ProcessClock(scheduler, process)
        stream = MemoryStream(self.log, process)
        actions = {each.name: Lab(each, self.target, process) for each in (LOOK, MEND)}
        runs = RunStage(store, clock, self.catalogs, actions, _metrics())
        handlers = {"run": runs.advance, "tick": TickStage(store, stream, clock).fire}
        loop = TaskLoop(store, clock, process.name, handlers, _metrics())  # type: ignore[arg-type]
        pipeline = Pipeline(store, stream, clock, self.catalogs, _metrics())
        async with asyncio.TaskGroup() as group:
            group.create_task(loop.run())
            group.create_task(pipeline.run())

    def _crashed(self, process: Process) -> None:
        self.living -= 1
        task = process.task
        if task is not None and not task.cancelled() and task.exception() is not None:
            self.scheduler.violate(f"{process.name} died of {task.exception()!r}")
        self.scheduler.tell(f"{process.name} is dead")
        if self.scheduler.chaos and not self.scheduler.violations:
            self.scheduler.events.append((self.scheduler.at, self.start_replica))


async def _play(seed: int) -> Played:
    scheduler = Scheduler(Random(seed))
    database, log, target = a_database(scheduler), Log(scheduler), Target(scheduler)
    catalogs = _catalog(scheduler.random.choice(("approve", "approve", "auto")))
    invariants = Invariants(scheduler, database, log, target, frozenset({ONCALL.actor}))
    simulation = Simulation(scheduler, database, log, target, catalogs, invariants)
    database.execute(lambda tx: keep_texts(tx, catalogs.active))
    database.committed = invariants.after_commit
    target.on_effect, target.on_probe = invariants.after_effect, invariants.before_probe
    simulation.start_replica()
    simulation.start_replica()
    outsiders = Outsiders(scheduler, database, log, catalogs, invariants)
    begun = outsiders.start()
    await _until_rest(simulation, outsiders)
    if not scheduler.violations:
        invariants.at_rest()
    scheduler.chaos = False
    history = tuple(scheduler.history)
    for task in [*begun, *asyncio.all_tasks()]:
        if task is not asyncio.current_task():
            task.cancel()
    for _ in range(20):
        await asyncio.sleep(0)
    database.close()
    return Played(
        seed,
        tuple(scheduler.violations),
        history,
        scheduler.counts,
        invariants.kinds,
        Counter(database.crashed),
    )


async def _until_rest(simulation: Simulation, outsiders: Outsiders) -> None:
    """Storm, then calm with one fresh replica, until every run has ended."""
    scheduler = simulation.scheduler
    began_at = scheduler.at
    for _ in range(MAX_STEPS):
        if not await scheduler.step() or scheduler.violations:
            return
        elapsed_s = (scheduler.at - began_at).total_seconds()
        if scheduler.chaos and elapsed_s >= STORM_S:
            scheduler.chaos = False
            scheduler.tell("it calms down")
            for waiting in [*scheduler.gates, *scheduler.sleepers]:
                waiting.process.frozen_until = scheduler.at
            if not simulation.living:
                simulation.start_replica()
        if not scheduler.chaos and not outsiders.busy and _is_done(simulation):
            return
    scheduler.tell("it did not come to rest")


def _is_done(simulation: Simulation) -> bool:
    positions = simulation.invariants.positions
    decided = all(len(r) == positions[p] for p, r in enumerate(simulation.log.records))
    ended = all(run.outcome for run in simulation.invariants.runs.values())
    return ended and decided and not simulation.target.under_way


def play(seed: int) -> Played:
    """The history that this seed makes, always the same."""
    with asyncio.Runner(loop_factory=SimulationLoop) as runner, capture_logs():
        return runner.run(_play(seed))
