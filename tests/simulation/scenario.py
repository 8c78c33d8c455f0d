"""One simulated history from one seed: replicas, senders, people and an outside that misbehaves."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from random import Random

from structlog.testing import capture_logs

from engine.core.journal import to_us
from engine.core.sla import Sla
from engine.pipeline import Pipeline
from engine.ports.confirming import Confirming
from engine.ports.masked_action import MaskedAction
from engine.ports.metrics import Metrics
from engine.ports.recording import Author
from engine.ports.rows import TaskKind
from engine.stages.checkpoints import CheckpointStage, schedule_checkpoints
from engine.stages.clocks import ClockStage
from engine.stages.messages import MessageStage
from engine.stages.records import RecordsStage
from engine.stages.runs import RunStage
from engine.stages.tasks import Handler, TaskLoop
from engine.stages.ticks import TickStage
from tests.doubles.promises import a_promise
from tests.doubles.scripted import LOOK, MEND
from tests.simulation.editing import Files
from tests.simulation.inline_store import Database, InlineStore, a_database
from tests.simulation.invariants import ONCALL, Invariants
from tests.simulation.outside import Lab, Log, MemoryStream, Target
from tests.simulation.outsiders import Outsiders
from tests.simulation.people import Chat, Office, Tracking
from tests.simulation.scenes import a_scene, simulated_catalog
from tests.simulation.scheduler import Process, ProcessClock, Scheduler, SimulationLoop
from tests.simulation.secrets import Careless, tell_secret
from tests.simulation.sizes import RETENTION
from tests.simulation.source import SimulatedSource, Truth

# Until then (virtual) things go wrong; afterwards everything must come to its end.
STORM_S = 240.0
# One seed in so many goes on until incidents close, half an hour after they were resolved.
LONG_EVERY = 25
LONG_STORM_S = 2400.0
MAX_STEPS = 12_000
# What is still to be told, what is to be taken back, and what waits for the end of its silence.
_LEFT = (
    "SELECT count(*) FROM tasks WHERE kind = 'message' OR id LIKE 'tick/revert/%' "
    "OR (id LIKE 'tick/hold_due/%' AND not_before_us < {soon_us})"
)
# No silence of a run lasts so much longer than that.
SOON = timedelta(minutes=10)
# Few records are ever behind here.
FAR_BEHIND = 2


@cache
def _metrics() -> Metrics:
    return Metrics()


def _postmortem_path(name: str, _: str) -> str:
    return f"postmortems/{name}.md"


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
    truth: Truth
    office: Office
    files: Files
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
        stream, source = MemoryStream(self.log, process), SimulatedSource(self.truth, process)
        labs = [Careless(Lab(each, self.target, process), scheduler) for each in (LOOK, MEND)]
        actions = {each.declaration.name: MaskedAction(each) for each in labs}
        confirming = Confirming({source.name: source}, clock)
        catalogs = self.files.of_a_replica()
        runs = RunStage(store, clock, catalogs, actions, confirming, _metrics())
        records = RecordsStage(
            store, _postmortem_path, Tracking(self.office, process), Sla({}), Author
        )
        messages = MessageStage(store, {"chat": Chat(self.office, process)}, Author)
        handlers: dict[TaskKind, Handler] = {
            "run": runs.advance,
            "message": messages.tell,
            "postmortem": records.write_postmortem,
            "ticket": records.open_ticket,
            "tick": TickStage(store, stream, clock).fire,
            "clock": ClockStage(store, a_promise(5), Author).watch,
            "checkpoint": CheckpointStage(store, None, (), _metrics()).sign,
        }
        loop = TaskLoop(
            store,
            clock,
            process.name,
            handlers,
            _metrics(),
            parks={"run": runs.park},
            fenced={"message": messages.tell_again},
        )
        pipeline = Pipeline(
            store, stream, clock, catalogs, _metrics(), RETENTION, far_behind=FAR_BEHIND
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(loop.run())
            group.create_task(pipeline.run())
            if self.files.scene.raised:
                group.create_task(self.files.follow(catalogs, store, clock))

    def _crashed(self, process: Process) -> None:
        self.living -= 1
        task = process.task
        if task is not None and not task.cancelled() and task.exception() is not None:
            self.scheduler.violate(f"{process.name} died of {task.exception()!r}")
        self.scheduler.tell(f"{process.name} is dead")
        if self.scheduler.chaos and not self.scheduler.violations:
            self.scheduler.events.append((self.scheduler.at, self.start_replica))


async def _play(seed: int) -> Played:
    tell_secret()
    scheduler = Scheduler(Random(seed))
    database, log, target = a_database(scheduler), Log(scheduler), Target(scheduler)
    truth, office = Truth(scheduler), Office(scheduler)
    scene, mode = a_scene(scheduler)
    catalogs = simulated_catalog(scene, mode)
    files = Files(scheduler, database, scene, catalogs.active)
    deciders = frozenset({ONCALL.actor})
    invariants = Invariants(
        scheduler, database, log, target, truth, office, deciders, catalogs.active
    )
    simulation = Simulation(scheduler, database, log, target, truth, office, files, invariants)
    database.committed = invariants.after_commit
    files.put_in_force()
    database.execute(schedule_checkpoints)
    target.on_effect, target.on_probe = invariants.after_effect, invariants.before_probe
    simulation.start_replica()
    simulation.start_replica()
    outsiders = Outsiders(scheduler, database, log, truth, catalogs, scene, invariants)
    begun = outsiders.start()
    if scene.raised:
        begun.append(asyncio.get_running_loop().create_task(files.edit()))
    storm_s = LONG_STORM_S if seed % LONG_EVERY == LONG_EVERY - 1 else STORM_S
    await _until_rest(simulation, outsiders, storm_s)
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


async def _until_rest(simulation: Simulation, outsiders: Outsiders, storm_s: float) -> None:
    """Storm, then calm with one fresh replica, until every run has ended."""
    scheduler = simulation.scheduler
    began_at = scheduler.at
    for _ in range(MAX_STEPS):
        if not await scheduler.step() or scheduler.violations:
            return
        elapsed_s = (scheduler.at - began_at).total_seconds()
        if scheduler.chaos and elapsed_s >= storm_s:
            scheduler.chaos = False
            scheduler.tell("it calms down")
            for waiting in [*scheduler.gates, *scheduler.sleepers]:
                waiting.process.frozen_until = scheduler.at
                waiting.process.wrong_by_s = 0.0
            if not simulation.living:
                simulation.start_replica()
        if scheduler.chaos:
            continue
        await scheduler.settle()
        # Who is under way may still have to mend something.
        is_calm = not (outsiders.busy or scheduler.gates)
        if is_calm and _is_done(simulation):
            return
    scheduler.tell("it did not come to rest")


def _is_done(simulation: Simulation) -> bool:
    positions = simulation.invariants.positions
    decided = all(len(r) == positions[p] for p, r in enumerate(simulation.log.records))
    ended = all(run.outcome for run in simulation.invariants.runs.values())
    soon = simulation.scheduler.at + SOON
    ((left,),) = simulation.database.rows(_LEFT.format(soon_us=to_us(soon)))
    return ended and decided and not simulation.target.under_way and not left


def play(seed: int) -> Played:
    """The history that this seed makes, always the same."""
    with asyncio.Runner(loop_factory=SimulationLoop) as runner, capture_logs():
        return runner.run(_play(seed))
