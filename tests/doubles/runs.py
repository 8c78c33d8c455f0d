"""Playbooks, plans and journals for tests of the run machine, without files or actions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import JsonValue

from engine.core import events
from engine.core.actions import Effect
from engine.core.documents import Guards
from engine.core.expansion import expand
from engine.core.expressions import Expression, Scope, ValueType, compile_expression
from engine.core.guards import Refusal
from engine.core.incident import Incident
from engine.core.inventory import Inventory
from engine.core.plan import Plan, PlannedStep, PlanPhase, attempt_id, plan_hash
from engine.core.playbook import ApprovalPolicy, Playbook, Step
from engine.core.run import RunState, fold
from engine.core.run_commands import (
    Attempt,
    Busy,
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
from engine.core.run_machine import next_commands
from engine.core.run_world import World
from engine.core.scopes import Known
from engine.core.severity import Mode, Severity
from engine.core.still_firing import Confirmation
from engine.errors import QuellError

START = datetime(2026, 1, 1, tzinfo=UTC)
RUN = "run"
OK = Scope({"result.ok": ValueType.BOOL})

Repeat = Literal["harmless", "keyed", "probe", "never"]


def a_step(
    step_id: str,
    phase: PlanPhase = "steps",
    *,
    condition: Expression | None = None,
    rollback: tuple[Step, ...] = (),
    retry_attempts: int = 1,
) -> Step:
    reads = phase in ("investigate", "verify")
    return Step(
        phase=phase,
        id=step_id,
        description="",
        uses="ssh.read" if reads else "ssh.run",
        inputs={},
        effects=frozenset({Effect.READ if reads else Effect.CHANGE}),
        connection="",
        timeout=timedelta(seconds=60),
        action_mode=Mode.AUTO,
        condition=condition,
        retry_attempts=retry_attempts,
        until=compile_expression("result.ok", OK, ValueType.BOOL) if phase == "verify" else None,
        rollback=rollback,
    )


def a_wait(step_id: str, seconds: float) -> Step:
    return replace(
        a_step(step_id),
        uses="",
        effects=frozenset({Effect.READ}),
        wait=timedelta(seconds=seconds),
    )


def a_playbook(*steps: Step, investigate: tuple[Step, ...] = ()) -> Playbook:
    return Playbook(
        id="restart",
        description="restarts",
        text_hash="text",
        max_mode=Mode.AUTO,
        parameters={},
        guards=Guards(),
        group=None,
        healthy=(),
        guard_reads=(),
        approval=ApprovalPolicy(("role:oncall",), 1, timedelta(minutes=10), "escalate", False),
        deadline=timedelta(hours=1),
        investigate=investigate,
        steps=steps or (a_step("restart"),),
        verify=(a_step("serves", "verify"),),
    )


def planned(step: Step, undoes: str = "", repeat: Repeat = "never") -> PlannedStep:
    reads = not step.may_change
    return PlannedStep(
        phase=step.phase,
        id=step.id,
        uses=step.uses,
        action_version=1,
        connection="c",
        targets=("host",),
        payload={},
        effect="read" if reads else "change",
        repeat="harmless" if reads else repeat,
        description=f"host$ {step.id}",
        timeout_s=60,
        retry_attempts=step.retry_attempts,
        condition=step.condition.text if step.condition else "",
        until="result.ok" if step.until else "",
        within_s=60 if step.until else 0,
        every_s=5,
        stable_for_s=10 if step.until else 0,
        wait_s=step.wait.total_seconds(),
        undoes=undoes,
    )


def a_plan(playbook: Playbook, *, repeat: Repeat = "never", always: bool = False) -> Plan:
    def no_hole(where: str, error: QuellError) -> None:
        raise AssertionError((where, error))

    expansion = expand(playbook, Known({}, an_incident(), Inventory()), no_hole)
    return Plan(
        run_id=RUN,
        revision=1,
        playbook_id=playbook.id,
        playbook_hash=playbook.text_hash,
        parameters={},
        guards={},
        approval_from=("role:oncall",),
        approval_quorum=1,
        approval_expires_s=600,
        always_ask=always,
        source_confirms=False,
        on_expiry="escalate",
        deadline_s=playbook.deadline.total_seconds(),
        keep=playbook.keep,
        steps=tuple(
            planned(replace(each.step, id=each.id), each.undoes, repeat).model_copy(
                update={"place": each.place}
            )
            for each in expansion.steps
        ),
    )


def an_incident(status: Literal["open", "resolved", "closed"] = "open") -> Incident:
    return Incident(
        id="incident",
        number=1,
        correlation_key="key",
        partition_key="llm",
        rule_id="rule",
        severity=Severity.P1,
        title="down",
        mode=Mode.APPROVE,
        service="llm",
        environment="production",
        team="",
        group={},
        opened_at=START,
        updated_at=START,
        status=status,
        run_id=RUN,
    )


def created(
    mode: Literal["observe", "suggest", "approve", "auto"] = "approve",
    run_id: str = RUN,
    parameters: Mapping[str, JsonValue] | None = None,
) -> events.RunCreated:
    """The first entry of a run of the playbook `restart`."""
    return events.RunCreated(
        run_id=run_id,
        trigger="t",
        attempt=1,
        playbook_id="restart",
        playbook_hash="text",
        parameters=parameters or {},
        mode=mode,
        mode_decided_by="test",
        reason="",
    )


@dataclass
class Drive:
    """Obeys the machine without a world: each effect's end is said by the test."""

    playbook: Playbook
    mode: Mode = Mode.APPROVE
    repeat: Repeat = "never"
    always: bool = False
    incident: Incident = field(default_factory=an_incident)
    now: datetime = START
    stopped: str = ""
    refusal: Refusal | None = None
    fires: Confirmation = field(default_factory=lambda: Confirmation("firing", "source"))
    story: list[tuple[events.Event, datetime, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.write(created(self.mode.value))

    @property
    def state(self) -> RunState:
        state = fold(RUN, self.story)
        assert state is not None
        return state

    def write(self, event: events.Event, actor: str = "engine") -> None:
        self.story.append((event, self.now, actor))

    def next(self) -> Command:
        world = World(
            self.now, self.incident, self.playbook, Inventory(), self.stopped, self.refusal
        )
        return next_commands(self.state, world)[0]

    def look(self, command: Read, *, holds: bool) -> None:
        self.write(
            events.StepObserved(
                run_id=RUN,
                phase=command.phase,
                step_id=command.step.id,
                outcome="succeeded",
                holds=holds if command.step.until else None,
            )
        )

    def confirm(self) -> None:
        self.write(
            events.StillFiringAsked(
                run_id=RUN,
                answer=self.fires.answer,
                basis=self.fires.basis,
                detail=self.fires.detail,
            )
        )

    def plan(self) -> None:
        plan = a_plan(self.playbook, repeat=self.repeat, always=self.always)
        stored = plan.to_bytes()
        self.write(
            events.RunPlanned(
                run_id=RUN,
                revision=1,
                plan=stored.decode(),
                plan_hash=plan_hash(stored),
                mode=self.mode.value,
                mode_decided_by="test",
            )
        )

    def decide(self, decision: events.Decision) -> None:
        approval = self.state.approval
        assert approval is not None
        self.write(
            events.ApprovalDecided(
                run_id=RUN,
                approval_id=approval.id,
                plan_hash=approval.plan_hash,
                decision=decision,
                via="cli",
            ),
            "slack:T/U",
        )

    def intend(self, command: Attempt) -> events.AttemptIntended:
        step = command.step
        intent = events.AttemptIntended(
            run_id=RUN,
            attempt_id=attempt_id(RUN, step.phase, step.id, command.number),
            phase=step.phase,
            step_id=step.id,
            number=command.number,
            description=step.description,
            effect="change",
            targets=step.targets,
            not_after=(self.now + timedelta(seconds=75)).isoformat(),
        )
        self.write(intent)
        return intent

    def end(
        self, intent: events.AttemptIntended, outcome: events.AttemptOutcome, *, begun: bool = True
    ) -> None:
        self.write(
            events.AttemptEnded(
                run_id=RUN,
                attempt_id=intent.attempt_id,
                phase=intent.phase,
                step_id=intent.step_id,
                outcome=outcome,
                begun=begun,
                error="" if outcome == "succeeded" else "exit code 1",
            )
        )

    def probe(self, command: Probe, answer: str) -> None:
        self.write(
            events.AttemptProbed.model_validate(
                {
                    "run_id": RUN,
                    "attempt_id": command.attempt.attempt_id,
                    "phase": command.step.phase,
                    "step_id": command.step.id,
                    "answer": answer,
                }
            )
        )

    def until_interesting(self, *, holds: bool = False) -> Command:
        """Let time pass, plan, look and journal until an attempt, a probe, a question or the end.

        Looks of precheck say False; looks of the verification say `holds`.
        """
        for _ in range(500):
            command = self.next()
            if isinstance(command, Attempt | Probe | Ended):
                return command
            self.obey_quietly(command, holds=holds)
            if isinstance(command, Record) and isinstance(command.event, events.ApprovalRequested):
                return command
        raise AssertionError("the machine does not come to an end")

    def obey_quietly(self, command: Command, *, holds: bool = False) -> None:
        """Do what a worker does for a command that changes nothing outside."""
        match command:
            case MakePlan():
                self.plan()
            case Investigate():
                self.write(
                    events.StepObserved(
                        run_id=RUN,
                        phase="investigate",
                        step_id=command.step.id,
                        outcome="succeeded",
                    )
                )
            case Read():
                self.look(command, holds=holds and command.phase == "verify")
            case Confirm():
                self.confirm()
            case Record():
                self.write(command.event)
            case Wait():
                assert command.until > self.now
                self.now = command.until
            case Attempt() | Probe() | Busy() | Ended():
                raise AssertionError(f"{command} is for the test to obey")

    def to_first_attempt(self) -> Attempt:
        command = self.until_interesting()
        if isinstance(command, Record):
            self.decide("approved")
            command = self.until_interesting()
        assert isinstance(command, Attempt)
        return command
