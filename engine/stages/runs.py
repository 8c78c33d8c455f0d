"""The thin worker of a run: asks the machine what to do, does it, journals what happened.

Each change is intent (with all checks, one transaction) → act → outcome. The worker never
decides: what it may do next is `engine.core.run_machine`'s word on the folded journal, and whether
it may begin is `engine.core.point_of_no_return`'s.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from engine.core import events
from engine.core.actions import Result
from engine.core.json_value import JsonObject
from engine.core.playbook import Playbook
from engine.core.reporting import (
    BEGIN_WITHIN,
    Ending,
    attempt_ended,
    kept_before,
)
from engine.core.run import RunState
from engine.core.run_commands import (
    Attempt,
    Busy,
    Command,
    Ended,
    Lasting,
    Record,
    Wait,
)
from engine.errors import PermanentError, QuellError
from engine.ports.action import Action
from engine.ports.attempting import Attempting
from engine.ports.catalogs import ActiveCatalog
from engine.ports.clock import Clock
from engine.ports.confirming import Confirming
from engine.ports.intending import (
    Aim,
    call_of,
    demand_one_time,
    intend,
    next_aim,
    next_of,
    skewed,
    still_next,
)
from engine.ports.lanes import Lanes
from engine.ports.looking import Looking
from engine.ports.metrics import Metrics
from engine.ports.recording import Author, incident_of, record
from engine.ports.rows import Task
from engine.ports.run_look import Seen, look
from engine.ports.run_texts import OldPlaybooks, RunTexts
from engine.ports.store import Store, Tx
from engine.ports.telling import Told, tell

# Of this process: at work; to end, so that others go on at once; unable to journal outcomes.
Pace = Literal["on", "stopping", "waiting"]
WAITS_FOR = timedelta(seconds=5)

# How long lanes that wait for people or for their time may stand beside one that goes on.
LOOK_AGAIN = timedelta(seconds=5)
# The look just before a change is quick, or the state before counts as unreadable.
LOOK_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class RunStage:
    """Advances runs, one task at a time; several execute concurrently.

    Where `pace` isn't "on", a run goes no further than what it has begun.
    """

    store: Store
    clock: Clock
    catalogs: ActiveCatalog
    actions: Mapping[str, Action]
    confirming: Confirming
    metrics: Metrics
    playbooks: OldPlaybooks = field(default_factory=dict)
    pace: Callable[[], Pace] = lambda: "on"

    async def advance(self, task: Task) -> None:
        """Do what the run of this task can do now; leave it waiting or ended.

        Raises FencedError when the lease is lost: somebody else goes on.
        """
        texts = RunTexts(self.store, self.catalogs, self.playbooks)
        seen: Seen | None = await self.store.write(
            lambda tx: look(tx, task, None, self.catalogs.active)
        )
        while seen is not None:
            if (pace := self.pace()) != "on":
                await self._pause(task, WAITS_FOR if pace == "waiting" else timedelta(0))
                return
            playbook = await texts.playbook_of(seen.state)
            commands = next_of(seen, playbook, self.catalogs.active)
            if len(commands) == 1:
                seen = await self._obey(task, seen, playbook, commands[0], alone=True)
            else:
                seen = await self._side_by_side(task, seen, playbook, commands)

    def park(self, tx: Tx, task: Task, error: str) -> None:
        """Tell people, in the transaction that puts the task off, that it fails again and again."""
        tx.hold_task(task)
        run = tx.run(task.key)
        if run is not None and run.ended_at is None:
            parked = events.RunParked(run_id=run.id, failures=task.failures + 1, error=error)
            record(tx, incident_of(tx, task), [parked], self._author())

    async def _pause(self, task: Task, pause: timedelta) -> None:
        await self.store.write(lambda tx: tx.release_task(task, tx.now + pause))

    async def _side_by_side(
        self, task: Task, seen: Seen, playbook: Playbook, commands: Sequence[Command]
    ) -> Seen:
        """Carry out what lanes need, and what they need then, until nothing is under way."""
        async with asyncio.TaskGroup() as group:
            lanes = Lanes(group, self.clock)
            while commands or lanes.under_way:
                try:
                    seen = await self._beside(task, seen, playbook, commands, lanes)
                except Exception as error:  # noqa: BLE001 - told once nothing is under way
                    lanes.failed.append(error)
                goes_on = lanes.under_way and not lanes.failed and self.pace() == "on"
                catalog = self.catalogs.active
                commands = next_of(seen, playbook, catalog, lanes.under_way) if goes_on else ()
        if lanes.failed:
            raise lanes.failed[0]
        return seen

    async def _beside(
        self,
        task: Task,
        seen: Seen,
        playbook: Playbook,
        commands: Sequence[Command],
        lanes: Lanes,
    ) -> Seen:
        """Obey these beside what is under way; the run once something changed, or may have."""
        if commands and isinstance(commands[0], Record):
            after = await self._write(task, seen, None, commands[0].event)
            assert after is not None  # what is told beside others ends nothing
            return after
        lasting = [each for each in commands if isinstance(each, Lasting)]
        lanes.begin(lasting, lambda each: self._obey(task, seen, playbook, each, alone=False))
        waits = [(each.until - seen.now) for each in commands if isinstance(each, Wait)]
        await lanes.an_end(min([LOOK_AGAIN, *waits]).total_seconds())
        return await self.store.write(lambda tx: look(tx, task, seen, self.catalogs.active))

    async def _obey(
        self, task: Task, seen: Seen, playbook: Playbook, command: Command, *, alone: bool
    ) -> Seen | None:
        follows = playbook if alone else None
        match command:
            case Ended():
                await self.store.write(lambda tx: tx.finish_task(task))
                return None
            case Wait():
                wait = command
                await self.store.write(lambda tx: tx.release_task(task, wait.until))
                return None
            case Record():
                return await self._write(task, seen, follows, command.event)
            case Attempt():
                return await self._attempt(task, seen, playbook, command, alone=alone)
            case Busy():
                raise AssertionError("it waits for what is under way, and nothing is")
            case _:
                looking = Looking(
                    self.store, self.clock, self.catalogs, self.actions, self.confirming
                )
                found = await looking.found(seen, playbook, command)
                return await self._write(task, seen, follows, *found)

    # Writing the journal.

    async def _write(
        self, task: Task, seen: Seen, follows: Playbook | None, *story: events.Event
    ) -> Seen | None:
        """Journal the story, and what follows from it in a run of this playbook."""
        follows = follows if self.pace() == "on" else None

        def work(tx: Tx) -> Told:
            current = look(tx, task, seen, self.catalogs.active)
            if current.state.outcome is not None:
                return Told(current)
            return tell(tx, task, current, follows, self.catalogs.active, story)

        told = await self.store.write(work)
        self._count(told.story)
        return told.seen

    def _count(self, story: Sequence[events.Event]) -> None:
        for event in story:
            if isinstance(event, events.AttemptEnded):
                self.metrics.attempts_ended.labels(outcome=event.outcome).inc()
            if isinstance(event, events.RunEnded):
                self.metrics.runs_ended.labels(outcome=event.outcome).inc()

    def _author(self) -> Author:
        return Author(catalog=self.catalogs.active.version)

    # Changing.

    async def _attempt(
        self, task: Task, seen: Seen, playbook: Playbook, command: Attempt, *, alone: bool
    ) -> Seen | None:
        aim, unseen = await self._aim(seen, command)

        def work(tx: Tx) -> tuple[Seen, float]:
            # Before the store's time is read, so that what is left is never overestimated.
            begin_by = self.clock.monotonic() + BEGIN_WITHIN.total_seconds()
            demand_one_time(tx, self.clock)
            current = look(tx, task, seen, self.catalogs.active, intending=True)
            catalog = self.catalogs.active
            if not alone and not still_next(current, playbook, command, catalog):
                return current, begin_by
            after, judgement = intend(tx, task, current, playbook, aim, catalog)
            if judgement.outcome == "broken":
                raise PermanentError(judgement.reason)
            return after, begin_by

        after, begin_by = await self.store.write(work)
        following: Aim | None = aim
        # Where the intent isn't there something changed meanwhile; the machine decides afresh.
        while following is not None and following.is_open(after.state):
            ending = unseen or await self._make(following, after.state, begin_by)
            unseen = None
            step, call = following.command.step, following.call
            ended = attempt_ended(seen.state.run_id, step, call, ending)
            left, following, begin_by = await self._end(task, after, playbook, ended, alone=alone)
            if left is None:
                return None
            after = left
        return after

    async def _aim(self, seen: Seen, command: Attempt) -> tuple[Aim, Ending | None]:
        """What is to be intended, and how it ends where it can't even begin."""
        call, step = call_of(seen.state.run_id, command), command.step
        if not command.looks_before:
            return Aim(command, call, {}, timedelta(0)), None
        before: JsonObject = {}
        unseen = None
        began_at = self.clock.monotonic()
        try:
            asked = replace(call, timeout_s=min(step.timeout_s, LOOK_WITHIN_S))
            before = kept_before(await self.actions[step.uses].look(asked))
        except QuellError as error:
            # Without what the probe compares with, an unknown outcome could never be settled.
            told = f"the state before could not be read: {error}"
            unseen = Ending(Result(succeeded=False, error=told), "failed", begun=False)
        looked = timedelta(seconds=min(self.clock.monotonic() - began_at, LOOK_WITHIN_S))
        return Aim(command, call, before, looked), unseen

    async def _make(self, aim: Aim, state: RunState, begin_by: float) -> Ending:
        step = aim.command.step
        intent = state.step(step.phase, step.id).attempt
        assert intent is not None
        watched = Attempting(self.store, self.clock, state.playbooks)
        return await watched.make(self.actions[step.uses], aim.call, intent, begin_by)

    async def _end(
        self,
        task: Task,
        seen: Seen,
        playbook: Playbook,
        ended: events.AttemptEnded,
        *,
        alone: bool,
    ) -> tuple[Seen | None, Aim | None, float]:
        """Journal an outcome and, where the next change can follow at once, its intent with it.

        One commit carries both: a run of many steps waits for the disk once a step.
        """
        goes_on = self.pace() == "on"
        follows = playbook if goes_on and alone else None

        def work(tx: Tx) -> tuple[Told, Aim | None, float]:
            begin_by = self.clock.monotonic() + BEGIN_WITHIN.total_seconds()
            catalog = self.catalogs.active
            current = look(tx, task, seen, catalog, intending=goes_on)
            if current.state.outcome is not None:
                return Told(current), None, begin_by
            told = tell(tx, task, current, follows, catalog, [ended])
            aim = next_aim(told.seen, playbook, catalog) if goes_on and told.seen else None
            if told.seen is None or aim is None or skewed(tx, self.clock):
                return told, None, begin_by
            after, _ = intend(tx, task, told.seen, playbook, aim, catalog)
            return replace(told, seen=after), aim, begin_by

        told, aim, begin_by = await self.store.write(work)
        self._count(told.story)
        return told.seen, aim, begin_by
