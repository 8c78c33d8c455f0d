"""What a run learns without changing anything: reads, probes, its source's word, and its plan."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.core import events
from engine.core.actions import Call, Result
from engine.core.evaluating import holds_until, known_to
from engine.core.freezes import freeze_limits
from engine.core.plan import Place, PlannedStep, plan_hash
from engine.core.planning import PlanError, Planner
from engine.core.playbook import Playbook
from engine.core.reporting import never_began, observed, prepared
from engine.core.run_commands import Confirm, Investigate, MakePlan, Probe, Read
from engine.core.scopes import Known
from engine.core.severity import DRY_RUN, Mode, ModeLimit, effective_mode
from engine.core.undoing import undo_plan
from engine.errors import QuellError
from engine.ports.action import Action
from engine.ports.catalogs import ActiveCatalog
from engine.ports.clock import Clock
from engine.ports.confirming import ASKED_AT_MOST, Confirming
from engine.ports.intending import demand_one_time, freezes_of
from engine.ports.known_secrets import KNOWN
from engine.ports.run_look import Seen
from engine.ports.store import Store


@dataclass(frozen=True, slots=True)
class Looking:
    """Carries out the commands that only look, and tells what is to be journaled of it."""

    store: Store
    clock: Clock
    catalogs: ActiveCatalog
    actions: Mapping[str, Action]
    confirming: Confirming

    async def found(
        self,
        seen: Seen,
        playbook: Playbook,
        command: MakePlan | Investigate | Read | Confirm | Probe,
    ) -> tuple[events.Event, ...]:
        """What there was to see. What can't be read or planned is told in it, never raised."""
        match command:
            case MakePlan():
                return self._plan(seen, playbook)
            case Investigate():
                return await self._investigate(seen, playbook, command)
            case Read():
                return (await self._read(seen, playbook, command.step, command.phase),)
            case Confirm():
                return (await self._confirm(seen),)
            case Probe():
                return (await self._probe(seen, command),)

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
        limits = (
            *rendered.limits,
            *freeze_limits(freezes_of(seen, rendered.plan, self.catalogs.active)),
        )
        own = ModeLimit(state.mode, state.mode_decided_by)
        # What would keep the real run from changing anything is what people want to hear of.
        mode = effective_mode((*limits, own) if own == DRY_RUN else (own, *limits))
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
        self, seen: Seen, playbook: Playbook, command: Investigate
    ) -> tuple[events.Event, ...]:
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
            if seen.state.mode is Mode.OBSERVE:
                return (found,)  # it follows from what a dry run asks nobody
        else:
            found = await self._read(seen, playbook, planned, "investigate")
        if not step.required or found.outcome != "failed":
            return (found,)
        reason = f"investigation {step.id} failed: {found.error}"
        return found, never_began(seen.state, reason)

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

    async def _probe(self, seen: Seen, command: Probe) -> events.AttemptProbed:
        await self.store.read(lambda tx: demand_one_time(tx, self.clock))
        step = command.step
        call = Call(prepared(step), command.attempt.attempt_id, step.timeout_s, step.id)
        evidence = ""
        try:
            answer = (await self.actions[step.uses].probe(call, command.attempt.before)).value
        except QuellError as error:
            answer, evidence = "cannot_tell", str(error)
        return events.AttemptProbed.model_validate(
            {
                "run_id": seen.state.run_id,
                "attempt_id": command.attempt.attempt_id,
                "phase": step.phase,
                "step_id": step.id,
                "answer": answer,
                "evidence": evidence,
            }
        )
