"""The state of a run, folded from its journal entries: recovery is folding them again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import JsonValue

from engine.core import events
from engine.core.copies import replace
from engine.core.journal import ENGINE
from engine.core.plan import AFTER_CANCEL, Plan, PlanPhase, plan_hash
from engine.core.questions import Question, question_of
from engine.core.severity import Mode
from engine.core.still_firing import Confirmation

StepOutcome = Literal["pending", "open", "succeeded", "failed", "unknown", "skipped"]
StepKey = tuple[PlanPhase, str]
Outputs = Mapping[str, JsonValue]
# An incident's entries, in order: what happened, when, and who wrote it.
Story = Sequence[tuple[events.Event, datetime, str]]


@dataclass(frozen=True, slots=True)
class Look:
    """One observation of a verify step: when, and whether its `until` held."""

    at: datetime
    holds: bool


@dataclass(frozen=True, slots=True)
class GuardLook:
    """What a read for a guard gave, and when; `error` says why it gave nothing.

    `holds`: its `until` did.
    """

    at: datetime
    outputs: Outputs
    error: str
    holds: bool = False


@dataclass(frozen=True, slots=True)
class StepState:
    """What is known of one step. `open` means intended and without an end.

    `repeatable` is set where another attempt can't do the thing twice: the last one surely never
    began, or a probe found it undone. `excused` counts attempts whose end nobody saw: they don't
    use up the step's retries. `probes` counts looks at the last attempt.
    `uncertain` is set where an earlier attempt's outcome was never known. A step that lets time
    pass is open until `waits_until`.
    """

    outcome: StepOutcome = "pending"
    attempts: int = 0
    outputs: Outputs = field(default_factory=dict)
    error: str = ""
    repeatable: bool = False
    excused: int = 0
    attempt: events.AttemptIntended | None = None
    changed_at: datetime | None = None
    probes: int = 0
    probe_answer: str = ""
    uncertain: bool = False
    waits_until: datetime | None = None

    @property
    def may_have_happened(self) -> bool:
        """Whether an attempt was made and isn't known to have done nothing."""
        undone = self.outcome == "failed" and self.repeatable
        return self.uncertain or (self.attempts > 0 and not undone)


# Made once: a run of many steps is asked for the state of each again and again.
_PENDING = StepState()


@dataclass(frozen=True, slots=True)
class ApprovalState:
    """The request for approval of the current plan, and its answer."""

    id: str
    plan_hash: str
    expires_at: datetime
    why: str = ""
    decision: events.Decision | None = None
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The latest answer whether it still fires; `resolved_since` begins an unbroken row of no."""

    at: datetime
    confirmation: Confirmation
    resolved_since: datetime | None


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Which guard stands before the first change or a batch's, and since when one does."""

    guard: str
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class RunState:
    """A run after its latest entry; None and empty until it happens.

    `began_at` is when its first attempt was intended, of those that may have begun; `late` says
    that its deadline passed.
    `undoes` is the run that this one takes back, `undone` that run's state; `reverts`: because its
    time has come, not because a person said so. `kept_by` called off the one of this run.
    """

    run_id: str
    playbook_id: str
    playbook_hash: str
    parameters: Mapping[str, JsonValue]
    mode: Mode
    mode_decided_by: str
    created_at: datetime
    called: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, StepState] = field(default_factory=dict)
    questions: Mapping[str, Question] = field(default_factory=dict)
    plan: Plan | None = None
    plan_hash: str = ""
    holes: tuple[str, ...] = ()
    approval: ApprovalState | None = None
    precheck: Mapping[str, Look] = field(default_factory=dict)
    guard_looks: Mapping[str, GuardLook] = field(default_factory=dict)
    confirmed: Confirmed | None = None
    held_back: HeldBack | None = None
    steps: Mapping[StepKey, StepState] = field(default_factory=dict)
    began_at: datetime | None = None
    late: str = ""
    looks: Mapping[str, tuple[Look, ...]] = field(default_factory=dict)
    verifying_since: datetime | None = None
    verified: bool | None = None
    verification_reason: str = ""
    cancelled_by: str = ""
    cancel_reason: str = ""
    outcome: events.RunOutcome | None = None
    outcome_reason: str = ""
    undoes: str = ""
    undone: "RunState | None" = None
    reverts: bool = False
    kept_by: str = ""
    outputs: Outputs = field(default_factory=dict)

    @property
    def playbooks(self) -> tuple[str, ...]:
        """The ids of its playbook and of those that it calls: a stop of any of them ends it."""
        return (self.playbook_id, *self.called)

    def step(self, phase: PlanPhase, step_id: str) -> StepState:
        """The state of a step; pending when nothing happened to it."""
        return self.steps.get((phase, step_id), _PENDING)

    @property
    def began(self) -> bool:
        """Whether any attempt may have had an effect."""
        return any(step.may_have_happened for step in self.steps.values())

    @property
    def is_stopped(self) -> bool:
        """Whether a stop ended it: nothing follows, not even its rollback."""
        # The engine cancels only what is stopped.
        return self.cancelled_by == ENGINE

    def may_begin(self, phase: PlanPhase) -> bool:
        """Whether no end of the run, or of its plan, stands before a step of this phase."""
        if self.outcome is not None or self.is_stopped:
            return False
        return not self.cancelled_by or phase in AFTER_CANCEL


_PROBED: Mapping[str, StepOutcome] = {"done": "succeeded", "not_done": "failed"}


def created(event: events.RunCreated, at: datetime) -> RunState:
    """The state right after the run's first entry."""
    return RunState(
        run_id=event.run_id,
        playbook_id=event.playbook_id,
        playbook_hash=event.playbook_hash,
        parameters=event.parameters,
        mode=Mode(event.mode),
        mode_decided_by=event.mode_decided_by,
        created_at=at,
        undoes=event.undoes,
        reverts=event.reverts,
        called=event.called,
    )


def fold(
    run_id: str,
    entries: Iterable[tuple[events.Event, datetime, str]],
    state: RunState | None = None,
) -> RunState | None:
    """The state of `run_id` after these (event, time, actor) of its incident's chain.

    Events of other runs are passed over, so a whole chain can be given.
    """
    for event, at, actor in entries:
        if getattr(event, "run_id", None) != run_id:
            continue
        if isinstance(event, events.RunCreated):
            state = created(event, at)
        elif state is not None:
            state = _after(state, event, at, actor)
    return state


def _after(  # noqa: C901 - one case a kind of event is the simplest form
    state: RunState, event: events.Event, at: datetime, actor: str
) -> RunState:
    match event:
        case events.StepObserved():
            return _observed(state, event, at)
        case events.QuestionAsked():
            return _asked(state, event, at)
        case events.QuestionAnswered():
            return _answered(state, event, at, actor)
        case events.RunPlanned():
            return replace(
                state,
                plan=Plan.model_validate_json(event.plan),
                # Of what would run, whatever the entry says.
                plan_hash=plan_hash(event.plan.encode()),
                mode=Mode(event.mode),
                mode_decided_by=event.mode_decided_by,
                holes=event.holes,
            )
        case events.ApprovalRequested():
            expires_at = datetime.fromisoformat(event.expires_at)
            asked = ApprovalState(event.approval_id, event.plan_hash, expires_at, event.why)
            return replace(state, approval=asked)
        case events.ApprovalDecided():
            if state.approval is None or state.approval.id != event.approval_id:
                return state
            decided = replace(
                state.approval, decision=event.decision, actor=actor, reason=event.reason
            )
            return replace(state, approval=decided)
        case events.AttemptIntended() | events.AttemptEnded() | events.AttemptProbed():
            return _attempted(state, event, at)
        case events.StillFiringAsked():
            return replace(state, confirmed=_confirmed(state, event, at))
        case events.RunHeldBack():
            since = state.held_back.since if state.held_back else at
            return replace(state, held_back=HeldBack(event.guard, event.reason, since))
        case events.StepSkipped():
            skipped = StepState(outcome="skipped", error=event.reason, changed_at=at)
            return _with_step(state, event.phase, event.step_id, skipped)
        case events.DeadlinePassed():
            return replace(state, late=event.reason)
        case events.StepWaiting():
            until = events.moment(event.until)
            waiting = StepState(outcome="open", waits_until=until, changed_at=at)
            return _with_step(state, event.phase, event.step_id, waiting)
        case events.VerificationStarted():
            return replace(state, verifying_since=at)
        case events.VerificationEnded():
            return replace(state, verified=event.holds, verification_reason=event.reason)
        case events.RunCancelled():
            return replace(state, cancelled_by=actor, cancel_reason=event.reason)
        case events.RevertCalledOff():
            return replace(state, kept_by=actor)
        case events.RunEnded():
            return replace(
                state,
                outcome=event.outcome,
                outcome_reason=event.reason,
                outputs=event.outputs,
            )
        case _:
            return state


def _asked(state: RunState, event: events.QuestionAsked, at: datetime) -> RunState:
    state = replace(state, questions={**state.questions, event.step_id: question_of(event)})
    if event.phase == "investigate":
        return state
    return _with_step(state, "steps", event.step_id, StepState(outcome="open", changed_at=at))


def _answered(
    state: RunState, event: events.QuestionAnswered, at: datetime, actor: str
) -> RunState:
    """The first answer stands, whoever gave it, and is what the step gives."""
    question = state.questions.get(event.step_id)
    if question is None or question.is_over:
        return state
    over = replace(question, answer=event.answer, actor=actor, is_over=True)
    given = StepState(
        outcome="succeeded" if event.answer else "failed",
        outputs={"answer": event.answer} if event.answer else {},
        error="" if event.answer else "nobody answered in time",
        changed_at=at,
    )
    state = replace(state, questions={**state.questions, event.step_id: over})
    if question.phase == "steps":
        return _with_step(state, "steps", event.step_id, given)
    return replace(state, evidence={**state.evidence, event.step_id: given})


def _confirmed(state: RunState, event: events.StillFiringAsked, at: datetime) -> Confirmed:
    since = None
    if event.answer == "resolved":
        since = state.confirmed.resolved_since if state.confirmed else None
        since = since or at
    return Confirmed(at, Confirmation(event.answer, event.basis, event.detail), since)


def _with_step(state: RunState, phase: events.StepPhase, step_id: str, step: StepState) -> RunState:
    if phase == "precheck":
        return state
    return replace(state, steps={**state.steps, (phase, step_id): step})


def _observed(state: RunState, event: events.StepObserved, at: datetime) -> RunState:
    if event.phase == "precheck":
        look = Look(at, event.holds is True)
        return replace(state, precheck={**state.precheck, event.step_id: look})
    if event.phase == "guards":
        error = event.error if event.outcome == "failed" else ""
        seen_by = GuardLook(at, event.outputs, error, event.holds is True)
        return replace(state, guard_looks={**state.guard_looks, event.step_id: seen_by})
    if event.phase == "verify" or event.holds is not None:
        looks = (*state.looks.get(event.step_id, ()), Look(at, event.holds is True))
        state = replace(state, looks={**state.looks, event.step_id: looks})
    seen = StepState(
        outcome="failed" if event.phase != "verify" and event.holds is False else event.outcome,
        attempts=0,
        outputs=event.outputs,
        error=event.error,
        changed_at=at,
    )
    if event.phase == "investigate":
        return replace(state, evidence={**state.evidence, event.step_id: seen})
    return _with_step(state, event.phase, event.step_id, seen)


def _attempted(
    state: RunState,
    event: events.AttemptIntended | events.AttemptEnded | events.AttemptProbed,
    at: datetime,
) -> RunState:
    if event.phase == "precheck":
        return state
    step = state.step(event.phase, event.step_id)
    match event:
        case events.AttemptIntended():
            # Attempts that surely never began have used up nothing of the run's time.
            began_at = state.began_at if state.began else at
            state = replace(state, began_at=began_at, held_back=None)
            step = StepState(
                outcome="open",
                attempts=event.number,
                excused=step.excused,
                uncertain=step.uncertain or step.outcome == "unknown",
                attempt=event,
                changed_at=at,
            )
        case events.AttemptEnded():
            step = replace(
                step,
                outcome="failed" if event.outcome == "cancelled" else event.outcome,
                outputs=event.outputs,
                error=event.error,
                repeatable=not event.begun,
                excused=step.excused + (event.outcome == "unknown"),
                changed_at=at,
            )
        case events.AttemptProbed():
            step = replace(
                step,
                outcome=_PROBED.get(event.answer, "unknown"),
                repeatable=event.answer == "not_done",
                excused=step.excused + (step.outcome == "open"),
                probes=step.probes + 1,
                probe_answer=event.answer,
                changed_at=at,
            )
    return _with_step(state, event.phase, event.step_id, step)
