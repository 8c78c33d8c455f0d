"""The thin worker of a run: asks the machine what to do, does it, journals what happened.

Each change is intent (with all checks, one transaction) → act → outcome. The worker never
decides: what it may do next is `engine.core.run_machine`'s word on the folded journal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from engine.core import events
from engine.core.actions import Call, Repeat, Result
from engine.core.evaluating import holds_until, known_to
from engine.core.incident import Incident, chain_of
from engine.core.json_value import JsonObject
from engine.core.plan import PlannedStep, attempt_id, plan_hash
from engine.core.planning import PlanError, Planner
from engine.core.playbook import Playbook, Step
from engine.core.reporting import Ending, attempt_ended, observed, prepared
from engine.core.run import RunState, fold
from engine.core.run_commands import (
    Attempt,
    Command,
    Ended,
    Investigate,
    MakePlan,
    Probe,
    Read,
    Record,
    Wait,
)
from engine.core.run_machine import World, needs_approval, next_command, stale_precheck
from engine.core.scopes import Known
from engine.core.severity import Mode, ModeLimit, effective_mode
from engine.core.stops import stopped_by
from engine.core.trigger import BY_HAND
from engine.errors import (
    NotFoundError,
    PermanentError,
    QuellError,
)
from engine.ports.action import Action
from engine.ports.attempting import Attempting
from engine.ports.catalogs import ActiveCatalog
from engine.ports.clock import Clock
from engine.ports.metrics import Metrics
from engine.ports.recording import Author, record
from engine.ports.rows import Task
from engine.ports.store import Store, Tx

# How far behind the action's own bound its effect may still be under way: connect and clean up.
EFFECT_SLACK = timedelta(seconds=15)
# What the machine found fresh may become this much older on the way to the intent.
PRECHECK_SLACK = timedelta(seconds=5)
# The look just before a change is quick, or the state before counts as unreadable.
LOOK_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a worker knows of its run: the state, the incident, up to which entry.

    `stopped` says why nothing may be changed any more, "" while it may.
    """

    incident: Incident
    state: RunState
    seq: int
    stopped: str


@dataclass(frozen=True, slots=True)
class RunStage:
    """Advances runs, one task at a time; several execute concurrently."""

    store: Store
    clock: Clock
    catalogs: ActiveCatalog
    actions: Mapping[str, Action]
    metrics: Metrics
    playbooks: dict[str, Playbook] = field(default_factory=dict)

    async def advance(self, task: Task) -> None:
        """Do what the run of this task can do now; leave it waiting or ended.

        Raises FencedError when the lease is lost: somebody else goes on.
        """
        seen: _Seen | None = await self.store.write(lambda tx: self._look(tx, task, None))
        while seen is not None:
            playbook = await self._playbook(seen.state)
            command = next_command(
                seen.state,
                World(
                    now=self.clock.now(),
                    incident=seen.incident,
                    playbook=playbook,
                    inventory=self.catalogs.active.inventory,
                    stopped=seen.stopped,
                ),
            )
            seen = await self._obey(task, seen, playbook, command)

    async def _obey(
        self, task: Task, seen: _Seen, playbook: Playbook, command: Command
    ) -> _Seen | None:
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
                return await self._investigate(task, seen, playbook, command.step)
            case Read():
                seen_now = await self._read(seen, playbook, command.step, command.phase)
                return await self._write(task, seen, seen_now)
            case Probe():
                return await self._probe(task, seen, command)
            case Attempt():
                return await self._attempt(task, seen, command)

    # Reading and writing the journal.

    def _look(self, tx: Tx, task: Task, before: _Seen | None, *, hold_stops: bool = False) -> _Seen:
        """The run as it stands in this transaction, under the lease of `task`.

        With `hold_stops` no stop is ordered before the commit.
        """
        stops = tx.hold_stops() if hold_stops else tx.stops()
        tx.hold_task(task)
        incident_id = before.incident.id if before else str(task.payload["incident_id"])
        incident = tx.incident(incident_id)
        seq = before.seq if before else 0
        entries = tx.entries(chain_of(incident_id), after_seq=seq)
        known = [(event, e.at, e.actor) for e in entries if (event := e.event()) is not None]
        state = fold(task.key, known, before.state if before else None)
        if incident is None or state is None:
            raise NotFoundError(f"run {task.key!r} has a task but no journal entries")
        stopped = stopped_by(stops, incident.rule_id, state.playbook_id)
        return _Seen(incident, state, entries[-1].seq if entries else seq, stopped)

    async def _write(self, task: Task, seen: _Seen, *story: events.Event) -> _Seen:
        def work(tx: Tx) -> _Seen:
            current = self._look(tx, task, seen)
            if current.state.outcome is not None:
                return current
            self._record(tx, current, *story)
            return self._look(tx, task, current)

        after = await self.store.write(work)
        for event in story:
            if isinstance(event, events.AttemptEnded):
                self.metrics.attempts_ended.labels(outcome=event.outcome).inc()
            if isinstance(event, events.RunEnded):
                self.metrics.runs_ended.labels(outcome=event.outcome).inc()
        return after

    def _record(self, tx: Tx, seen: _Seen, *story: events.Event) -> None:
        author = Author(catalog=self.catalogs.active.version)
        incident = record(tx, seen.incident, story, author)
        ended = any(isinstance(event, events.RunEnded) for event in story)
        if ended and incident.rule_id == BY_HAND and incident.status == "open":
            record(tx, incident, [events.IncidentResolved()], author)

    async def _playbook(self, state: RunState) -> Playbook:
        """The playbook with exactly the text that the run started with."""
        active = self.catalogs.active.playbooks.get(state.playbook_id)
        if active is not None and active.text_hash == state.playbook_hash:
            return active
        known = self.playbooks.get(state.playbook_hash)
        if known is None:
            text = await self.store.read(lambda tx: tx.text(state.playbook_hash))
            if text is None:
                raise PermanentError(
                    f"the text {state.playbook_hash!r} of playbook {state.playbook_id!r} is lost"
                )
            known = self.catalogs.parse_playbook(text)
            self.playbooks[state.playbook_hash] = known
        return known

    # Planning and reading.

    def _plan(self, seen: _Seen, playbook: Playbook) -> tuple[events.Event, ...]:
        state = seen.state
        try:
            rendered = self._planner().render(
                playbook, state.run_id, self._known(seen), with_holes=state.mode is Mode.OBSERVE
            )
        except PlanError as error:
            return (
                events.RunEnded(run_id=state.run_id, outcome="failed", reason=f"no plan: {error}"),
            )
        stored = rendered.plan.to_bytes()
        mode = effective_mode([ModeLimit(state.mode, state.mode_decided_by), *rendered.limits])
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

    async def _investigate(self, task: Task, seen: _Seen, playbook: Playbook, step: Step) -> _Seen:
        try:
            planned = self._planner().prepare(step, self._known(seen))
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
            story.append(events.RunEnded(run_id=seen.state.run_id, outcome="failed", reason=reason))
        return await self._write(task, seen, *story)

    def _planner(self) -> Planner:
        return Planner(self.catalogs.active, self.actions)

    def _known(self, seen: _Seen) -> Known:
        return known_to(seen.state, seen.incident, self.catalogs.active.inventory)

    async def _read(
        self, seen: _Seen, playbook: Playbook, step: PlannedStep, phase: events.StepPhase
    ) -> events.StepObserved:
        """Execute a read; its failure is an observation, an error inside `until` is "not yet"."""
        began = self.clock.now()
        call = Call(prepared(step), f"{seen.state.run_id}-{step.id}", step.timeout_s)
        try:
            result = await self.actions[step.uses].execute(call)
        except QuellError as error:
            result = Result(succeeded=False, error=str(error))
        until = playbook.step(step.id).until
        answer = holds_until(until, self._known(seen), result.outputs) if until else None
        duration_s = (self.clock.now() - began).total_seconds()
        run_id = seen.state.run_id
        return observed(run_id, phase, step, result, answer=answer, duration_s=duration_s)

    # Changing.

    async def _attempt(self, task: Task, seen: _Seen, command: Attempt) -> _Seen:
        step, action = command.step, self.actions[command.step.uses]
        # The other side knows a keyed change by its first attempt's id, however often it comes.
        key = 1 if step.repeat == Repeat.KEYED.value else command.number
        call = Call(
            prepared(step),
            attempt_id(seen.state.run_id, step.phase, step.id, key),
            step.timeout_s,
        )
        before: JsonObject = {}
        unseen = ""
        began_at = self.clock.now()
        try:
            before = await action.look(replace(call, timeout_s=min(step.timeout_s, LOOK_WITHIN_S)))
        except QuellError as error:
            # Without what the probe compares with, an unknown outcome could never be settled.
            unseen = f"the state before could not be read: {error}"

        looked = min(self.clock.now() - began_at, timedelta(seconds=LOOK_WITHIN_S))

        def intend(tx: Tx) -> _Seen:
            current = self._look(tx, task, seen, hold_stops=True)
            if not _may_change(tx, current, command, looked):
                return current
            intent = events.AttemptIntended(
                run_id=current.state.run_id,
                attempt_id=call.attempt_id,
                phase=step.phase,
                step_id=step.id,
                number=command.number,
                description=step.description,
                effect="destroy" if step.effect == "destroy" else "change",
                targets=step.targets,
                not_after=(tx.now + timedelta(seconds=step.timeout_s) + EFFECT_SLACK).isoformat(),
                before=before,
            )
            self._record(tx, current, intent)
            return self._look(tx, task, current)

        intended = await self.store.write(intend)
        known = intended.state.step(step.phase, step.id)
        if known.outcome != "open" or known.attempts != command.number or known.attempt is None:
            return intended  # something changed meanwhile; the machine decides afresh
        if unseen:
            ending = Ending(Result(succeeded=False, error=unseen), "failed", begun=False)
        else:
            watched = Attempting(self.store, self.clock)
            ending = await watched.make(action, call, known.attempt)
        ended = attempt_ended(seen.state.run_id, step, call, ending)
        return await self._write(task, intended, ended)

    async def _probe(self, task: Task, seen: _Seen, command: Probe) -> _Seen:
        step = command.step
        call = Call(prepared(step), command.attempt.attempt_id, step.timeout_s)
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


def _may_change(tx: Tx, seen: _Seen, command: Attempt, looked: timedelta) -> bool:
    """The point of no return's checks, in the intent's own transaction.

    `looked` is the time that the look at the state before took: a slow host doesn't make the
    precheck stale for ever. Raises PermanentError where the approval isn't what the run's journal
    says: deciding afresh would not help.
    """
    state, plan = seen.state, seen.state.plan
    if plan is None or state.outcome is not None or state.cancelled_by or seen.stopped:
        return False
    if command.first:
        seen_at = tx.now - looked - PRECHECK_SLACK
        if seen.incident.status != "open" or stale_precheck(state, plan, seen_at) is not None:
            return False
    if not needs_approval(state, plan):
        return True
    approval = tx.approval(state.approval.id) if state.approval else None
    if (
        approval is None
        or approval.state != "approved"
        or approval.plan_hash != state.plan_hash
        or plan_hash(plan.to_bytes()) != state.plan_hash
    ):
        raise PermanentError(
            f"run {state.run_id!r} has no approval of its plan in the store; `quell audit verify`"
        )
    return True
