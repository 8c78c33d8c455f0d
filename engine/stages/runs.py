"""The thin worker of a run: asks the machine what to do, does it, journals what happened.

Each change is intent (with all checks, one transaction) → act → outcome. The worker never
decides: what it may do next is `engine.core.run_machine`'s word on the folded journal, and whether
it may begin is `engine.core.point_of_no_return`'s.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from engine.core import events
from engine.core.actions import Call, Repeat, Result
from engine.core.evaluating import holds_until, known_to
from engine.core.followers import with_follower
from engine.core.freezes import CheckedFreeze, freeze_limits, freeze_refusal, freezes_over
from engine.core.guards import Refusal, Reservation, reservations_of, services_of
from engine.core.json_value import JsonObject
from engine.core.plan import Place, Plan, PlannedStep, attempt_id, plan_hash
from engine.core.planning import PlanError, Planner, subjects_of_plan
from engine.core.playbook import Playbook
from engine.core.point_of_no_return import MAX_SKEW, Moment, judge
from engine.core.reporting import (
    BEGIN_WITHIN,
    Ending,
    attempt_ended,
    intended,
    kept_before,
    never_began,
    observed,
    prepared,
)
from engine.core.run_commands import (
    Attempt,
    Command,
    Confirm,
    Ended,
    Investigate,
    MakePlan,
    Probe,
    Read,
    Record,
    Wait,
)
from engine.core.run_machine import next_command
from engine.core.run_world import World
from engine.core.scopes import Known
from engine.core.severity import Mode, ModeLimit, effective_mode
from engine.core.temporary import follow_ups
from engine.core.undoing import not_yet, undo_plan
from engine.errors import PermanentError, QuellError, TransientError
from engine.ports.action import Action
from engine.ports.attempting import Attempting
from engine.ports.catalogs import ActiveCatalog
from engine.ports.clock import Clock
from engine.ports.confirming import ASKED_AT_MOST, Confirming
from engine.ports.known_secrets import KNOWN
from engine.ports.metrics import Metrics
from engine.ports.recording import Author, incident_of, record
from engine.ports.rows import Task
from engine.ports.run_look import Seen, look
from engine.ports.run_texts import OldPlaybooks, RunTexts
from engine.ports.store import Store, Tx
from engine.ports.undoing import revert_later

# Of this process: at work; to end, so that others go on at once; unable to journal outcomes.
Pace = Literal["on", "stopping", "waiting"]
WAITS_FOR = timedelta(seconds=5)

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
            command = next_command(seen.state, self._world(seen, playbook))
            seen = await self._obey(task, seen, playbook, command)

    def park(self, tx: Tx, task: Task, error: str) -> None:
        """Tell people, in the transaction that puts the task off, that it fails again and again."""
        tx.hold_task(task)
        run = tx.run(task.key)
        if run is not None and run.ended_at is None:
            parked = events.RunParked(run_id=run.id, failures=task.failures + 1, error=error)
            record(tx, incident_of(tx, task), [parked], self._author())

    async def _pause(self, task: Task, pause: timedelta) -> None:
        await self.store.write(lambda tx: tx.release_task(task, tx.now + pause))

    async def _obey(
        self, task: Task, seen: Seen, playbook: Playbook, command: Command
    ) -> Seen | None:
        match command:
            case Ended():
                await self.store.write(lambda tx: tx.finish_task(task))
                return None
            case Wait():
                wait = command
                await self.store.write(lambda tx: tx.release_task(task, wait.until))
                return None
            case Record():
                return await self._write(task, seen, command.event)
            case MakePlan():
                return await self._write(task, seen, *self._plan(seen, playbook))
            case Investigate():
                return await self._investigate(task, seen, playbook, command)
            case Read():
                found = await self._read(seen, playbook, command.step, command.phase)
                return await self._write(task, seen, found)
            case Confirm():
                return await self._write(task, seen, await self._confirm(seen))
            case Probe():
                return await self._probe(task, seen, command)
            case Attempt():
                return await self._attempt(task, seen, playbook, command)

    def _world(self, seen: Seen, playbook: Playbook) -> World:
        return World(
            now=seen.now,
            incident=seen.incident,
            playbook=playbook,
            inventory=self.catalogs.active.inventory,
            stopped=seen.stopped,
            refusal=seen.refusal
            or self._refused_by_freeze(seen)
            or self._waits_for_its_time(seen, playbook),
            asks=seen.asks,
        )

    def _waits_for_its_time(self, seen: Seen, playbook: Playbook) -> Refusal | None:
        if playbook.revert is None or not seen.state.reverts or seen.state.began:
            return None
        return not_yet(playbook.revert, self._known(seen))

    def _refused_by_freeze(self, seen: Seen) -> Refusal | None:
        if seen.state.plan is None or seen.state.began:
            return None
        found = self._freezes(seen, seen.state.plan)
        return freeze_refusal(found, seen.state.mode, seen.now)

    def _freezes(self, seen: Seen, plan: Plan) -> Sequence[CheckedFreeze]:
        catalog = self.catalogs.active
        subjects = subjects_of_plan(plan, seen.incident, catalog.inventory)
        return freezes_over(catalog.policy.freezes, subjects, seen.now)

    # Writing the journal.

    async def _write(self, task: Task, seen: Seen, *story: events.Event) -> Seen:
        def work(tx: Tx) -> Seen:
            current = look(tx, task, seen, self.catalogs.active)
            if current.state.outcome is not None:
                return current
            self._record(tx, current, *story)
            return look(tx, task, current, self.catalogs.active)

        after = await self.store.write(work)
        for event in story:
            if isinstance(event, events.AttemptEnded):
                self.metrics.attempts_ended.labels(outcome=event.outcome).inc()
            if isinstance(event, events.RunEnded):
                self.metrics.runs_ended.labels(outcome=event.outcome).inc()
        return after

    def _record(self, tx: Tx, seen: Seen, *story: events.Event) -> None:
        if isinstance(story[-1], events.RunEnded):
            plan, catalog, ended = seen.state.plan, self.catalogs.active, story[-1]
            left = follow_ups(ended, seen.state, seen.incident)
            story = (*story[:-1], *with_follower(ended, plan, seen.incident, catalog), *left)
        incident = record(tx, seen.incident, story, self._author())
        revert_later(tx, incident, seen.state.plan, story)
        if incident.by_hand and incident.outcome and incident.status == "open":
            record(tx, incident, [events.IncidentResolved()], self._author())

    def _author(self) -> Author:
        return Author(catalog=self.catalogs.active.version)

    # Planning and reading.

    def _plan(self, seen: Seen, playbook: Playbook) -> tuple[events.Event, ...]:
        state = seen.state
        try:
            rendered = (
                undo_plan(state.undone, state.run_id)
                if state.undone is not None
                else self._planner().render(
                    playbook, state.run_id, self._known(seen), with_holes=state.mode is Mode.OBSERVE
                )
            )
        except PlanError as error:
            return (never_began(state, f"no plan: {error}"),)
        stored = rendered.plan.to_bytes()
        limits = (*rendered.limits, *freeze_limits(self._freezes(seen, rendered.plan)))
        mode = effective_mode([ModeLimit(state.mode, state.mode_decided_by), *limits])
        return (
            events.RunPlanned(
                run_id=state.run_id,
                revision=rendered.plan.revision,
                plan=stored.decode(),
                plan_hash=plan_hash(stored),
                mode=mode.mode.value,
                mode_decided_by=mode.decided_by,
                holes=rendered.holes,
            ),
        )

    async def _investigate(
        self, task: Task, seen: Seen, playbook: Playbook, command: Investigate
    ) -> Seen:
        step, place = command.step, command.place
        try:
            planned = self._planner().prepare(step, self._known(seen, place))
            planned = planned.model_copy(update={"place": place})
        except PlanError as error:
            found = events.StepObserved(
                run_id=seen.state.run_id,
                phase="investigate",
                step_id=step.id,
                outcome="failed",
                error=str(error),
            )
        else:
            found = await self._read(seen, playbook, planned, "investigate")
        story: list[events.Event] = [found]
        if step.required and found.outcome == "failed":
            reason = f"investigation {step.id} failed: {found.error}"
            story.append(never_began(seen.state, reason))
        return await self._write(task, seen, *story)

    def _planner(self) -> Planner:
        return Planner(self.catalogs.active, self.actions, KNOWN.masker)

    def _known(self, seen: Seen, place: Place | None = None) -> Known:
        return known_to(seen.state, seen.incident, self.catalogs.active.inventory, place)

    async def _read(
        self, seen: Seen, playbook: Playbook, step: PlannedStep, phase: events.StepPhase
    ) -> events.StepObserved:
        """Execute a read; its failure is an observation, an error inside `until` is "not yet"."""
        began = self.clock.monotonic()
        call = Call(prepared(step), f"{seen.state.run_id}-{step.id}", step.timeout_s, step.id)
        try:
            result = await self.actions[step.uses].execute(call)
        except QuellError as error:
            result = Result(succeeded=False, error=str(error))
        until = playbook.step(step.origin).until
        answer = (
            holds_until(until, self._known(seen, step.place), result.outputs) if until else None
        )
        duration_s = self.clock.monotonic() - began
        run_id = seen.state.run_id
        return observed(run_id, phase, step, result, answer=answer, duration_s=duration_s)

    async def _confirm(self, seen: Seen) -> events.StillFiringAsked:
        firing = await self.store.read(
            lambda tx: tx.open_occurrences(seen.incident.id, ASKED_AT_MOST)
        )
        confirmation = await self.confirming.ask(firing)
        return events.StillFiringAsked(
            run_id=seen.state.run_id,
            answer=confirmation.answer,
            basis=confirmation.basis,
            detail=confirmation.detail,
        )

    # Changing.

    async def _attempt(self, task: Task, seen: Seen, playbook: Playbook, command: Attempt) -> Seen:
        step, action = command.step, self.actions[command.step.uses]
        # The other side knows a keyed change by its first attempt's id, however often it comes.
        key = 1 if step.repeat == Repeat.KEYED.value else command.number
        call = Call(
            prepared(step),
            attempt_id(seen.state.run_id, step.phase, step.id, key),
            step.timeout_s,
            step.id,
        )
        before: JsonObject = {}
        unseen = ""
        began_at = self.clock.monotonic()
        try:
            asked = replace(call, timeout_s=min(step.timeout_s, LOOK_WITHIN_S))
            before = kept_before(await action.look(asked))
        except QuellError as error:
            # Without what the probe compares with, an unknown outcome could never be settled.
            unseen = f"the state before could not be read: {error}"
        looked = timedelta(seconds=min(self.clock.monotonic() - began_at, LOOK_WITHIN_S))

        def intend(tx: Tx) -> tuple[Seen, float]:
            # Before the store's time is read, so that what is left is never overestimated.
            begin_by = self.clock.monotonic() + BEGIN_WITHIN.total_seconds()
            self._demand_one_time(tx)
            current = look(tx, task, seen, self.catalogs.active, intending=True)
            world, approved_hash = self._world(current, playbook), _approved_hash(tx, current)
            judgement = judge(command, Moment(current.state, world, looked, approved_hash))
            if judgement.outcome == "broken":
                raise PermanentError(judgement.reason)
            if judgement.outcome == "waits":
                return current, begin_by
            if command.first:
                tx.reserve(self._reservations(current))
                if current.state.undone is not None:
                    tx.release(current.state.undoes, current.state.undone.outcome or "")
            self._record(
                tx, current, intended(current.state.run_id, command, call, current.now, before)
            )
            return look(tx, task, current, self.catalogs.active), begin_by

        after, begin_by = await self.store.write(intend)
        known = after.state.step(step.phase, step.id)
        if known.outcome != "open" or known.attempts != command.number or known.attempt is None:
            return after  # something changed meanwhile; the machine decides afresh
        if unseen:
            ending = Ending(Result(succeeded=False, error=unseen), "failed", begun=False)
        else:
            watched = Attempting(self.store, self.clock, after.state.playbooks)
            ending = await watched.make(action, call, known.attempt, begin_by)
        ended = attempt_ended(seen.state.run_id, step, call, ending)
        return await self._write(task, after, ended)

    def _reservations(self, seen: Seen) -> Sequence[Reservation]:
        plan, incident = seen.state.plan, seen.incident
        if plan is None:
            return ()
        services = services_of(plan, self.catalogs.active.inventory, incident.service)
        return reservations_of(
            plan, services, rule_id=incident.rule_id, incident=incident, at=seen.now
        )

    async def _probe(self, task: Task, seen: Seen, command: Probe) -> Seen:
        await self.store.read(self._demand_one_time)
        step = command.step
        call = Call(prepared(step), command.attempt.attempt_id, step.timeout_s, step.id)
        evidence = ""
        try:
            answer = (await self.actions[step.uses].probe(call, command.attempt.before)).value
        except QuellError as error:
            answer, evidence = "cannot_tell", str(error)
        probed = events.AttemptProbed.model_validate(
            {
                "run_id": seen.state.run_id,
                "attempt_id": command.attempt.attempt_id,
                "phase": step.phase,
                "step_id": step.id,
                "answer": answer,
                "evidence": evidence,
            }
        )
        return await self._write(task, seen, probed)

    def _demand_one_time(self, tx: Tx) -> None:
        """Raise TransientError while this machine and the store don't agree on what time it is.

        One of them jumped, so nobody can say how old an answer is, or whether an effect is over.
        """
        skew = self.clock.now() - tx.now
        if abs(skew) > MAX_SKEW:
            raise TransientError(
                f"this machine's clock is {skew.total_seconds():+.0f} s off the store's: nothing "
                "is changed until they agree. Set the wrong one right; where quell keeps its own "
                "store, restart it"
            )


def _approved_hash(tx: Tx, seen: Seen) -> str:
    """The hash of the plan that somebody approved by the store's row, "" without one."""
    approval = tx.approval(seen.state.approval.id) if seen.state.approval else None
    return approval.plan_hash if approval is not None and approval.state == "approved" else ""
