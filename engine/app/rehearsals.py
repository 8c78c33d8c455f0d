"""Plays the tests of rules and playbooks: the real pipeline and runs, in time that goes by script.

Nothing is reached: calls give what a test says, the source confirms what the test fired, and a
person decides as the test says as soon as somebody is asked.
"""

import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from typing_extensions import override

from connectors import registry
from engine.app.activation import Catalogs, activate
from engine.app.configured import actions_of, catalog_sources, load_connectors, with_path
from engine.app.rehearsing import check_project
from engine.catalog import ParsedRehearsals, load_rehearsals, rehearsed_inventory
from engine.catalog.yaml_nodes import follow
from engine.core.access import ADMIN
from engine.core.actions import Declaration
from engine.core.alert import Alert, Occurrence
from engine.core.catalog import Catalog
from engine.core.durations import parse_duration
from engine.core.events import Event
from engine.core.findings import Finding
from engine.core.incident import Incident, chain_of
from engine.core.inventory import Inventory, enrich
from engine.core.journal import ENGINE, Entry
from engine.core.mistakes import Mistake
from engine.core.questions import Question
from engine.core.records import encode_alert
from engine.core.rehearsal_check import SeenIncident, differences, seen_incident
from engine.core.rehearsal_coverage import Goal, goals_of, reached_by
from engine.core.rehearsal_documents import AlertStep, Expectation, Rehearsal, RunByHand
from engine.core.sla import Sla
from engine.core.still_firing import Confirmation
from engine.errors import NotFoundError, PermanentError
from engine.ports.action import Action
from engine.ports.answering import open_questions
from engine.ports.commands import By
from engine.ports.confirming import Confirming
from engine.ports.masked_action import MaskedAction
from engine.ports.metrics import Metrics
from engine.ports.notifier import Notifier
from engine.ports.recording import Author
from engine.ports.rows import ApprovalRow, IncidentFilter, TaskKind
from engine.ports.source import NOBODY, Admission, Parsed, Sender, Source, denied
from engine.ports.store import Tx
from engine.ports.stream import Batch, Message
from engine.rehearsal.record_log import PARTITION, RecordLog
from engine.rehearsal.rehearsed_action import RehearsedAction
from engine.rehearsal.told_people import ToldPeople
from engine.rehearsal.virtual_clock import START, VirtualClock
from engine.settings import LoadedSettings
from engine.stages.commands import CommandStage
from engine.stages.deciding import decide
from engine.stages.messages import MessageStage
from engine.stages.records import RecordsStage
from engine.stages.runs import RunStage
from engine.stages.tasks import Handler
from engine.stages.ticks import TickStage
from engine.store.sqlite_store import SqliteStore

# More than any test needs; a story that doesn't come to rest is a gap in quell.
MAX_TASKS_AT_ONCE = 10_000
MAX_INCIDENTS = 1_000
# Nobody else works, and a call that times out takes longer than a worker's lease.
LEASE_S = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Played:
    """One test, what wasn't as expected, at its place in the file, and what it reached."""

    file: str
    name: str
    findings: Sequence[Finding]
    reached: frozenset[Goal] = frozenset()


async def play_tests(loaded: LoadedSettings, paths: Sequence[Path]) -> Sequence[Played]:
    """Play the tests at these paths, or all of the project. Raises ConfigError for mistakes."""
    sources = catalog_sources(loaded)
    for path in paths:
        sources = with_path(sources, path)
    parts = load_connectors(loaded, sources)
    played: list[Played] = []
    with tempfile.TemporaryDirectory(prefix="quell-test-") as folder:
        empty = await _empty_store(Path(folder))
        for file in load_rehearsals(sources, paths):
            catalog, actions = parts.catalog, parts.actions
            inventory = rehearsed_inventory(file)
            if inventory is not None:
                catalog = _with_inventory(catalog, inventory)
                node, _ = follow(file.node, ("inventory",))
                written = replace(loaded, file=file.source.path, node=node)
                actions = actions_of(inventory, written)
            for number in range(len(file.document.tests)):
                store = empty.with_stem(str(len(played)))
                shutil.copy(empty, store)
                played.append(await _play(file, number, catalog, actions, store))
    return played


def coverage_goals(loaded: LoadedSettings, paths: Sequence[Path]) -> Sequence[Goal]:
    """What the tests at these paths, or all of the project, could reach."""
    return goals_of(check_project(loaded, paths).catalog)


async def _empty_store(folder: Path) -> Path:
    """A store's file, made once: making its tables takes as long as most tests."""
    path = folder / "empty.db"
    store = SqliteStore(path, VirtualClock())
    await store.open()
    await store.close()
    return path


def _with_inventory(catalog: Catalog, inventory: Inventory) -> Catalog:
    uses = {name: each.uses for name, each in inventory.connections.items()}
    estate = replace(catalog.estate, targets=inventory.targets, connections=uses)
    return replace(catalog, inventory=inventory, estate=estate)


async def _play(
    file: ParsedRehearsals,
    number: int,
    catalog: Catalog,
    actions: Mapping[str, Action],
    store: Path,
) -> Played:
    test = file.document.tests[number]
    declarations = registry.by_name(actions.values())
    findings: list[Finding] = []
    async with _a_stage(test, catalog, actions, declarations, store) as stage:
        for at, event in _timeline(test):
            await stage.elapse(START + at)
            if isinstance(event, AlertStep):
                await stage.take(event)
                continue
            if isinstance(event, RunByHand):
                place = ("tests", number, "by_hand", test.by_hand.index(event))
                if problem := await stage.start(event):
                    findings.append(file.finding(Mistake(place, problem)))
                continue
            seen = await stage.incidents()
            place = ("tests", number, "expect", test.expect.index(event))
            findings.extend(
                file.finding(Mistake((*place, *each.path), each.problem))
                for each in differences(event.incidents, seen)
            )
        stories = [story for _, story in await stage.stories()]
        reached = reached_by(catalog, stage.sent, stories)
    return Played(file.source.path, test.name, findings, reached)


def _timeline(test: Rehearsal) -> list[tuple[timedelta, AlertStep | RunByHand | Expectation]]:
    """What happens and what is expected by time; at one time it happens first, as written."""
    events: list[AlertStep | RunByHand | Expectation]
    events = [*test.alerts, *test.by_hand, *test.expect]
    return sorted(
        ((parse_duration(each.at), each) for each in events),
        key=lambda pair: (pair[0], isinstance(pair[1], Expectation)),
    )


@dataclass
class _FiringSource(Source):
    """Confirms what the test fired and hasn't resolved."""

    name: str = ""
    firing: set[str] = field(default_factory=set)
    max_body_bytes: int = 0
    has_credentials: bool = False

    @override
    async def admit(self, sender: Sender, now: datetime) -> Admission:
        return denied("nobody sends to a test")

    @override
    def parse(self, body: object, received_at: datetime, sender: Sender = NOBODY) -> Parsed:
        return Parsed(())

    @override
    async def still_firing(self, occurrence: Occurrence, now: datetime) -> Confirmation:
        fires = occurrence.alert.fingerprint in self.firing
        return Confirmation("firing" if fires else "resolved", "source", "as the test says")


@dataclass
class _Stage:
    """The engine's stages over one store, driven until nothing is due."""

    test: Rehearsal
    clock: VirtualClock
    store: SqliteStore
    log: RecordLog
    catalogs: Catalogs
    handlers: Mapping[TaskKind, Handler]
    sources: Mapping[str, _FiringSource]
    commands: CommandStage
    people: ToldPeople
    fired: dict[str, AlertStep] = field(default_factory=dict)
    sent: list[Alert] = field(default_factory=list)

    async def take(self, step: AlertStep) -> None:
        """The notice of a step, and all that follows at once."""
        alert = self._alert(step)
        firing = self.sources[alert.source].firing
        (firing.add if alert.status == "firing" else firing.discard)(alert.fingerprint)
        await self.log.append([Message(alert.partition_key, encode_alert(alert))])
        await self._settle()

    async def start(self, order: RunByHand) -> str:
        """A playbook that a person starts, and all that follows at once; why not, or ""."""
        by = By("test:oncall", "test", frozenset({ADMIN}))
        try:
            await self.commands.run_playbook(order.playbook, order.with_, by=by, reason="the test")
        except (NotFoundError, PermanentError) as error:
            return str(error)
        await self._settle()
        return ""

    def _alert(self, step: AlertStep) -> Alert:
        if step.fire is not None:
            self.fired[step.fire] = step
        told = self.fired[step.fire or step.resolve or ""]
        alert = alert_of_step(told, self.clock.now(), firing=step.fire is not None)
        if step.fire is not None:
            self.sent.append(enrich(alert, self.catalogs.active.inventory))
        return alert

    async def elapse(self, until: datetime) -> None:
        """Let time pass from one due task to the next, doing each."""
        kinds = tuple(self.handlers)
        while True:
            await self._settle()
            due = await self.store.read(lambda tx: tx.next_due(kinds))
            if due is None or due > until:
                break
            self.clock.advance(max((due - self.clock.now()).total_seconds(), 0.0))
        self.clock.advance(max((until - self.clock.now()).total_seconds(), 0.0))

    async def _settle(self) -> None:
        kinds = tuple(self.handlers)
        for _ in range(MAX_TASKS_AT_ONCE):
            await self._decide()
            await self._answer()
            task = await self.store.write(lambda tx: tx.claim_task("test", LEASE_S, kinds))
            if task is None:
                return
            await self.handlers[task.kind](task)
        raise AssertionError("a test does not come to rest")

    async def _decide(self) -> None:
        name, catalog = self.log.name, self.catalogs.active
        position = await self.store.read(lambda tx: tx.position(name, PARTITION))
        if records := self.log.after(position):
            batch = Batch(PARTITION, records)
            await self.store.write(lambda tx: decide(tx, name, batch, position, catalog))

    async def _answer(self) -> None:
        """What the test says that people answer and decide, as soon as they are asked."""
        # What a run asks is read from its whole story, so only where the test has an answer.
        asked = await self.store.read(_questions) if self.test.answers else ()
        for run, question in asked:
            if (choice := self.test.answers.get(question.step_id)) is not None:
                by = By("test:oncall", "test", frozenset({ADMIN}))
                await self.commands.answer(run, choice, step=question.step_id, by=by)
        if self.test.approval == "nobody":
            return
        for row in await self.store.read(_asked):
            if row.state == "pending":
                roles = frozenset({ADMIN, *(each.removeprefix("role:") for each in row.ask)})
                by = By("test:oncall", "test", roles)
                await self.commands.decide(
                    row.id, self.test.approval, plan_hash=row.plan_hash, by=by, reason="the test"
                )

    async def incidents(self) -> Sequence[SeenIncident]:
        """All there are, oldest first."""
        return [
            seen_incident(incident, story, self.people.texts(incident.id))
            for incident, story in await self.stories()
        ]

    async def stories(self) -> Sequence[tuple[Incident, Sequence[Event]]]:
        """All incidents, oldest first, each with what its chain tells."""
        which = IncidentFilter(limit=MAX_INCIDENTS)
        found = await self.store.read(lambda tx: tx.incidents(which))
        told = []
        for incident in sorted(found, key=lambda each: each.number):
            entries = await self.store.read(partial(_entries, incident.id))
            story = [event for entry in entries if (event := entry.event()) is not None]
            told.append((incident, story))
        return told


def alert_of_step(told: AlertStep, now: datetime, *, firing: bool) -> Alert:
    """The alert that a step tells of, as Alertmanager would send it, whatever the source's name."""
    plugin = registry.SOURCES["alertmanager"]
    source = plugin.build(plugin.config(name=told.source))
    body = {
        "status": "firing" if firing else "resolved",
        "labels": dict(told.labels),
        "annotations": dict(told.annotations),
        "startsAt": now.isoformat(),
    }
    if not firing:
        body["endsAt"] = now.isoformat()
    (alert,) = source.parse(json.loads(json.dumps({"alerts": [body]})), now).alerts
    return alert


def _listening(test: Rehearsal, people: ToldPeople) -> Mapping[str, Notifier]:
    """Who is told: nobody where the test asks for no message, because each takes its time."""
    asks = any(each.messages is not None for then in test.expect for each in then.incidents)
    return {people.name: people} if asks else {}


def _asked(tx: Tx) -> Sequence[ApprovalRow]:
    return [row for run in tx.active_runs() for row in tx.find_approvals(run.id)]


def _questions(tx: Tx) -> Sequence[tuple[str, Question]]:
    return [(run.id, each) for run in tx.active_runs() for each in open_questions(tx, run)]


def _entries(incident: str, tx: Tx) -> Sequence[Entry]:
    return tx.entries(chain_of(incident))


@asynccontextmanager
async def _a_stage(
    test: Rehearsal,
    catalog: Catalog,
    actions: Mapping[str, Action],
    declarations: Mapping[str, Declaration],
    path: Path,
) -> AsyncIterator[_Stage]:
    clock, log, metrics, people = VirtualClock(), RecordLog(), Metrics(), ToldPeople()
    catalogs = Catalogs(catalog, declarations)
    store = SqliteStore(path, clock)
    await store.open()
    try:
        await store.write(partial(activate, catalog=catalog, actor=ENGINE))
        sources = {name: _FiringSource(name) for name in {each.source for each in test.alerts}}
        rehearsed = {
            name: MaskedAction(RehearsedAction(each, test.fakes, clock))
            for name, each in actions.items()
        }
        runs = RunStage(store, clock, catalogs, rehearsed, Confirming(sources, clock), metrics)

        def author() -> Author:
            return Author(catalog=catalogs.active.version)

        records = RecordsStage(store, lambda name, _: name, None, Sla({}), author)
        ticks = TickStage(store, log, clock)
        handlers: Mapping[TaskKind, Handler] = {
            "run": runs.advance,
            "message": MessageStage(store, _listening(test, people), author).tell,
            "postmortem": records.write_postmortem,
            "ticket": records.open_ticket,
            "tick": ticks.fire,
        }
        commands = CommandStage(store, clock, catalogs)
        yield _Stage(test, clock, store, log, catalogs, handlers, sources, commands, people)
    finally:
        await store.close()
