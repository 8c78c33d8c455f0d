"""One simulated history from one seed: replicas, senders, people and an outside that misbehaves."""

import asyncio
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from structlog.testing import capture_logs

from engine.core.alert import Alert, AlertStatus, fingerprint_of
from engine.core.records import encode_alert
from engine.errors import QuellError, TransientError
from engine.pipeline import Pipeline
from engine.ports.metrics import Metrics
from engine.stages.commands import CommandStage
from engine.stages.intake import StreamIntake
from engine.stages.runs import RunStage
from engine.stages.tasks import TaskLoop
from engine.stages.ticks import TickStage
from tests.doubles.scripted import LOOK, MEND
from tests.doubles.written import WrittenCatalog, a_catalog, keep_texts
from tests.simulation.inline_store import Database, InlineStore, a_database
from tests.simulation.invariants import ONCALL, STRANGER, Invariants
from tests.simulation.outside import Lab, Log, MemoryStream, Target
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
    outsiders: int = 0

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

    # Outsiders.

    def start_outsiders(self) -> list[asyncio.Task[None]]:
        """Senders and people, each with a mind of its own."""
        loop, random = asyncio.get_running_loop(), self.scheduler.random
        begun = [loop.create_task(self._sender(host)) for host in ("gpu-07", "gpu-08")]
        begun += [loop.create_task(self._person()) for _ in range(random.randint(2, 4))]
        self.outsiders = len(begun)
        for task in begun:
            task.add_done_callback(self._gone)
        return begun

    def _gone(self, task: asyncio.Task[None]) -> None:
        self.outsiders -= 1
        if not task.cancelled() and task.exception() is not None:
            self.scheduler.violate(f"an outsider met {task.exception()!r}")

    async def _sender(self, host: str) -> None:
        """An Alertmanager pair: every notice comes twice, and again until it is acknowledged."""
        scheduler = self.scheduler
        process = Process("sender", mortal=False)
        clock, random = ProcessClock(scheduler, process), scheduler.random
        store = InlineStore(self.database, process)
        intake = StreamIntake(store, MemoryStream(self.log, process), clock)
        for number in range(random.randint(1, 3)):
            await clock.sleep(random.uniform(0, 60))
            name = "Down" if number == 0 or random.random() < 0.7 else "Odd"
            status: AlertStatus = "resolved" if number and random.random() < 0.3 else "firing"
            alert = self._alert(name, host, status)
            for _ in range(2):
                await self._send(intake, clock, alert)
            scheduler.counts["alert by both of a pair"] += 1
        if random.random() < 0.5:
            await clock.sleep(random.uniform(60, 200))
            await self._send(intake, clock, self._alert("Down", host, "resolved"))

    async def _send(self, intake: StreamIntake, clock: ProcessClock, alert: Alert) -> None:
        while True:
            try:
                await intake.accept("alertmanager", [alert], 0)
            except TransientError:
                self.scheduler.counts["alert sent again"] += 1
                await clock.sleep(self.scheduler.random.uniform(1, 5))
            else:
                self.invariants.acknowledged(alert.partition_key, encode_alert(alert))
                return

    def _alert(self, name: str, host: str, status: AlertStatus) -> Alert:
        labels = {"alertname": name, "instance": f"{host}:9100"}
        now = self.scheduler.at
        return Alert(
            fingerprint=fingerprint_of("alertmanager", labels),
            source="alertmanager",
            name=name,
            status=status,
            labels=labels,
            annotations={},
            starts_at=now,
            ends_at=now if status == "resolved" else None,
            received_at=now,
        )

    async def _person(self) -> None:
        """Approves mostly; also rejects, cancels, stops and resumes, allowed or not."""
        scheduler = self.scheduler
        process = Process("person", mortal=False)
        clock, random = ProcessClock(scheduler, process), scheduler.random
        store = InlineStore(self.database, process)
        commands = CommandStage(store, clock, self.catalogs)
        while scheduler.chaos:
            await clock.sleep(random.uniform(1, 45))
            what = random.choices(
                ("approve", "reject", "cancel", "stop"), (0.88, 0.04, 0.05, 0.03)
            )[0]
            try:
                if await self._order(commands, store, what):
                    scheduler.counts[f"person: {what}"] += 1
                    scheduler.tell(f"person: {what}")
            except QuellError as error:
                scheduler.tell(f"person: {what} refused: {error}")

    async def _order(self, commands: CommandStage, store: InlineStore, what: str) -> bool:
        random = self.scheduler.random
        by = ONCALL if random.random() < 0.85 else STRANGER
        if what == "stop":
            await commands.stop("all", by=ONCALL, reason="a drill")
            await ProcessClock(self.scheduler, store.process).sleep(random.uniform(1, 20))
            await self._resume(commands)
            return True
        runs = await store.read(lambda tx: tx.active_runs())
        if not runs:
            return False
        run = random.choice(list(runs))
        if what == "cancel":
            await commands.cancel_run(run.id, by=by, reason="not now")
            return True
        asked = await store.read(lambda tx: tx.find_approvals(run.id))
        if not asked or asked[0].state != "pending":
            return False
        shown = asked[0].plan_hash if random.random() < 0.9 else "0" * 64
        decision = "approved" if what == "approve" else "rejected"
        decided = await commands.decide(
            asked[0].id,
            decision,  # type: ignore[arg-type]  # one of the two
            plan_hash=shown,
            by=by,
        )
        if decided.accepted and (shown != asked[0].plan_hash or by is STRANGER):
            self.scheduler.violate(
                f"invariant 6: {by.actor} decided on a plan not shown, or may not"
            )
        return decided.accepted

    async def _resume(self, commands: CommandStage) -> None:
        while True:
            try:
                await commands.resume("all", by=ONCALL)
            except TransientError:
                continue
            except QuellError as error:
                # The answer of an earlier try was lost, or another person was faster.
                self.scheduler.tell(f"person: resume: {error}")
            return


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
    outsiders = simulation.start_outsiders()
    await _until_rest(simulation)
    if not scheduler.violations:
        invariants.at_rest()
    scheduler.chaos = False
    history = tuple(scheduler.history)
    for task in [*outsiders, *asyncio.all_tasks()]:
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


async def _until_rest(simulation: Simulation) -> None:
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
        if not scheduler.chaos and not simulation.outsiders and _is_done(simulation):
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
