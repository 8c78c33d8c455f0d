"""quell's stages in one process over a real store and stream, with time and effects by script."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from engine.core import events
from engine.core.actions import Call, Result
from engine.core.alert import Alert, AlertStatus, fingerprint_of
from engine.core.incident import Incident, chain_of
from engine.core.journal import from_us
from engine.ports.commands import By
from engine.ports.confirming import Confirming
from engine.ports.masked_action import MaskedAction
from engine.ports.metrics import Metrics
from engine.ports.recording import Author
from engine.ports.rows import ApprovalRow, IncidentFilter, Task, TaskKind
from engine.ports.stream import Batch
from engine.stages.clocks import ClockStage
from engine.stages.commands import CommandStage
from engine.stages.deciding import Decided, decide
from engine.stages.intake import StreamIntake
from engine.stages.messages import MessageStage
from engine.stages.publishing import PublishStage
from engine.stages.queries import QueryStage
from engine.stages.records import RecordsStage
from engine.stages.runs import Pace, RunStage
from engine.stages.tasks import Handler, Park, TaskLoop
from engine.stages.ticks import TickStage
from engine.store.embedded_stream import EmbeddedStream
from engine.store.sqlite_store import SqliteStore
from tests.doubles.promises import a_promise
from tests.doubles.scripted import (
    BAD,
    LOOK,
    MEND,
    OK,
    QUERY,
    Hanging,
    RecordingNotifier,
    RecordingPublisher,
    RecordingTracker,
    ScriptedAction,
    ScriptedQuery,
    ScriptedSource,
)
from tests.doubles.virtual_time import VirtualClock, until
from tests.doubles.written import (
    RESTART,
    RULES,
    WrittenCatalog,
    a_catalog,
    keep_texts,
    load_written,
)
from tests.services.stores import migrated_sqlite

EventT = TypeVar("EventT", bound=events.Event)

ONCALL = By("slack:T1/U1", "slack", frozenset({"oncall"}))
STRANGER = By("slack:T1/U9", "slack")
LEASE_S = 30.0


@dataclass
class World:
    """Everything between the gateway and the outside. `author` writes as the engine does."""

    folder: Path
    clock: VirtualClock
    store: SqliteStore
    stream: EmbeddedStream
    catalogs: WrittenCatalog
    logs: list[EventDict]
    look: ScriptedAction = field(default_factory=lambda: ScriptedAction(LOOK))
    mend: ScriptedAction = field(default_factory=lambda: ScriptedAction(MEND))
    query: ScriptedQuery = field(default_factory=lambda: ScriptedQuery(QUERY))
    notifier: RecordingNotifier = field(default_factory=RecordingNotifier)
    tracker: RecordingTracker = field(default_factory=RecordingTracker)
    source: ScriptedSource = field(default_factory=ScriptedSource)
    publisher: RecordingPublisher = field(default_factory=RecordingPublisher)
    metrics: Metrics = field(default_factory=Metrics)
    kept: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def intake(self) -> StreamIntake:
        return StreamIntake(self.store, self.stream, self.clock)

    @property
    def commands(self) -> CommandStage:
        return CommandStage(self.store, self.clock, self.catalogs)

    @property
    def queries(self) -> QueryStage:
        return QueryStage(self.store, self.stream, lambda: (3, 2, 1))

    @property
    def runs(self) -> RunStage:
        scripted = (self.look, self.mend, self.query)
        actions = {each.declaration.name: MaskedAction(each) for each in scripted}
        confirming = Confirming({self.source.name: self.source}, self.clock)
        return RunStage(self.store, self.clock, self.catalogs, actions, confirming, self.metrics)

    @property
    def messages(self) -> MessageStage:
        return MessageStage(self.store, {self.notifier.name: self.notifier}, self.author)

    @property
    def records(self) -> RecordsStage:
        return RecordsStage(self.store, self.keep, self.tracker, a_promise(15), self.author)

    @cached_property
    def ticks(self) -> TickStage:
        return TickStage(self.store, self.stream, self.clock)

    @property
    def publishing(self) -> PublishStage:
        return PublishStage(self.store, self.publisher, self.metrics)

    @property
    def handlers(self) -> dict[TaskKind, Handler]:
        return {
            "run": self.runs.advance,
            "message": self.messages.tell,
            "postmortem": self.records.write_postmortem,
            "ticket": self.records.open_ticket,
            "tick": self.ticks.fire,
            "clock": ClockStage(self.store, a_promise(15), self.author).watch,
            "publish": self.publishing.publish,
        }

    def loop(self, **handlers: Handler) -> TaskLoop:
        """Workers over these handlers, keyed by kind; over all without any."""
        chosen = {kind: handlers[kind] for kind in self.handlers if kind in handlers}
        parks: dict[TaskKind, Park] = {"run": self.runs.park}
        return TaskLoop(self.store, self.clock, "w", chosen or self.handlers, self.metrics, parks)

    def author(self) -> Author:
        return Author(catalog=self.catalogs.active.version)

    def keep(self, name: str, text: str) -> str:
        self.kept[name] = text
        return f"postmortems/{name}.md"

    # Alerts.

    def alert(
        self,
        name: str = "Down",
        labels: Mapping[str, str] | None = None,
        *,
        status: AlertStatus = "firing",
        expires_at: datetime | None = None,
    ) -> Alert:
        """A notice that is received now: of a host, or of a service that `labels` name."""
        told = {"alertname": name, **(labels or {})}
        if "service" not in told:
            told.setdefault("instance", "gpu-07:9100")
        now = self.clock.now()
        return Alert(
            fingerprint=fingerprint_of("alertmanager", told),
            source="alertmanager",
            name=name,
            status=status,
            labels=told,
            annotations={},
            starts_at=now,
            ends_at=now if status == "resolved" else None,
            received_at=now,
            expires_at=expires_at,
            service=told.get("service", ""),
        )

    async def fire(self, name: str = "Down", **labels: str) -> None:
        """Take a firing notice in and do all that is due."""
        await self.send(self.alert(name, labels))

    async def resolve(self, name: str = "Down", **labels: str) -> None:
        """Take a resolution in and do all that is due."""
        await self.send(self.alert(name, labels, status="resolved"))

    async def send(self, *alerts: Alert) -> None:
        """Take notices in and do all that is due."""
        await self.intake.accept("alertmanager", alerts, 0)
        await self.settle()

    # Work.

    async def consume(self) -> Counter[str]:
        """Decide on every record that waits; their dispositions."""
        total: Counter[str] = Counter()
        for partition, end in (await self.stream.end_offsets()).items():
            expected = await self.position(partition)
            if expected < end:
                records = await self.stream.read(partition, expected, 500)
                decided = await self.decide(Batch(partition, records), expected)
                total.update(decided.dispositions)
                self.failures.extend(decided.failures)
        return total

    async def position(self, partition: int) -> int:
        name = self.stream.name
        return await self.store.read(lambda tx: tx.position(name, partition))

    async def decide(self, batch: Batch, expected: int) -> Decided:
        name, catalog = self.stream.name, self.catalogs.active
        return await self.store.write(lambda tx: decide(tx, name, batch, expected, catalog))

    async def claim(self, *kinds: TaskKind, worker: str = "w") -> Task | None:
        wanted = kinds or tuple(self.handlers)
        return await self.store.write(lambda tx: tx.claim_task(worker, LEASE_S, wanted))

    async def claimed(self, *kinds: TaskKind, worker: str = "w") -> Task:
        """The next due task of these kinds."""
        task = await self.claim(*kinds, worker=worker)
        assert task is not None, f"no task of {kinds} is due"
        return task

    async def settle(self, *kinds: TaskKind) -> None:
        """Decide on all records and do the due tasks of these kinds, until nothing is left."""
        for _ in range(1000):
            await self.consume()
            task = await self.claim(*kinds)
            if task is None:
                return
            await self.handlers[task.kind](task)
        raise AssertionError("the world does not come to rest")

    async def elapse(self, seconds: float) -> None:
        """Let time pass from one due task to the next, doing each."""
        end = self.clock.at + timedelta(seconds=seconds)
        while True:
            await self.settle()
            due = await self.store.read(lambda tx: tx.next_due(tuple(self.handlers)))
            if due is None or due > end:
                break
            self.clock.advance(max((due - self.clock.at).total_seconds(), 0))
        self.clock.advance((end - self.clock.at).total_seconds())

    async def ring(self) -> None:
        """End the waits of task loops, as any commit does that touches a task."""
        await self.store.write(lambda tx: tx.wake_task("run", "nothing"))

    def reload(self) -> None:
        """Take up what was written into the catalog's folder."""
        self.catalogs.active = load_written(self.folder / "catalog")

    def policy(self, text: str) -> None:
        """This policy counts from now on."""
        (self.folder / "catalog" / "policy.yaml").write_text(text)
        self.reload()

    # What is there.

    async def held(self) -> list[tuple[str, str]]:
        """By which rules occurrences wait, and for what kind of thing."""
        found = await self.store.read(lambda tx: tx.conditions.held(100))
        return [(hold.rule_id, hold.kind) for _, hold in found]

    async def incidents(self) -> Sequence[Incident]:
        """Oldest first."""
        found = await self.store.read(lambda tx: tx.incidents(IncidentFilter(limit=1000)))
        return list(reversed(found))

    async def incident(self, rule: str = "down") -> Incident:
        """The only one of a rule."""
        (found,) = [each for each in await self.incidents() if each.rule_id == rule]
        return found

    async def story(self, incident: Incident) -> list[events.Event]:
        entries = await self.store.read(lambda tx: tx.entries(chain_of(incident.id)))
        return [event for entry in entries if (event := entry.event()) is not None]

    async def told(self, kind: type[EventT], rule: str = "down") -> list[EventT]:
        """The entries of one kind in the chain of the rule's only incident."""
        story = await self.story(await self.incident(rule))
        return [event for event in story if isinstance(event, kind)]

    async def approval(self, rule: str = "down") -> ApprovalRow:
        """The request for approval of the rule's only incident."""
        return await self.queries.approval((await self.incident(rule)).id)

    async def tasks(self, *kinds: TaskKind) -> dict[str, Task]:
        """All that is left to do, by id; of these kinds where some are named."""
        with closing(sqlite3.connect(self.folder / "quell.db")) as connection:
            rows = connection.execute(
                "SELECT kind, id, not_before_us, priority, payload, token, failures FROM tasks"
            ).fetchall()
        return {
            name: Task(
                kind=kind,
                key=name.removeprefix(f"{kind}/"),
                not_before=from_us(not_before_us),
                priority=priority,
                payload=json.loads(payload),
                token=token,
                failures=failures,
            )
            for kind, name, not_before_us, priority, payload, token, failures in rows
            if not kinds or kind in kinds
        }


def mending(world: World) -> Callable[[Call], Awaitable[Result]]:
    """A change after which the model server serves."""

    async def mend(_: Call) -> Result:
        world.look.will("serves", OK)
        return OK

    return mend


async def approve(world: World, rule: str = "down", by: By = ONCALL) -> ApprovalRow:
    """Approve the plan that was shown and do what follows."""
    row = await world.approval(rule)
    decided = await world.commands.decide(row.id, "approved", plan_hash=row.plan_hash, by=by)
    await world.settle()
    return decided.approval


@asynccontextmanager
async def a_world(
    folder: Path,
    *,
    mode: str = "approve",
    rules: str = RULES,
    playbook: str | Sequence[str] = RESTART,
    publishes: bool = False,
) -> AsyncIterator[World]:
    """A world whose model server is down until it is restarted."""
    clock = VirtualClock()
    playbooks = (playbook,) if isinstance(playbook, str) else playbook
    catalogs = a_catalog(folder / "catalog", rules.replace("%s", mode), *playbooks)
    (folder / "quell.db").write_bytes(migrated_sqlite())
    store = SqliteStore(folder / "quell.db", clock, publishes=publishes)
    stream = EmbeddedStream(folder / "stream.db", partitions=2)
    await store.open()
    await stream.open()
    try:
        await store.write(lambda tx: keep_texts(tx, catalogs.active))
        with capture_logs() as logs:
            world = World(folder, clock, store, stream, catalogs, logs)
            world.look.will("serves", BAD)
            world.mend.will("restart", mending(world))
            yield world
    finally:
        await stream.close()
        await store.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """The usual one: a rule in approve, one that observes, and the one that takes the rest."""
    async with a_world(tmp_path) as opened:
        yield opened


@asynccontextmanager
async def under_way(
    world: World, *changes: Hanging, pace: Callable[[], Pace] = lambda: "on"
) -> AsyncIterator[asyncio.Task[None]]:
    """All of these changes are being made; afterwards their worker has done what it can."""
    await world.fire()
    row = await world.approval()
    await world.commands.decide(row.id, "approved", plan_hash=row.plan_hash, by=ONCALL)
    task = await world.claimed("run")
    async with asyncio.TaskGroup() as group:
        working = group.create_task(replace(world.runs, pace=pace).advance(task))
        await until(lambda: all(each.begun for each in changes) and world.clock.at_rest())
        yield working


def what_was_done(world: World) -> list[str]:
    """Every change that was made, in order, each with its host."""
    return [f"{what} {call.prepared.payload['host']}" for what, call in world.mend.calls]


async def ended(world: World) -> tuple[str, str]:
    """The outcome of the only run, and why."""
    (end,) = await world.told(events.RunEnded)
    return end.outcome, end.reason
