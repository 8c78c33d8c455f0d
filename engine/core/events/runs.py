"""What happens to a run (on its incident's chain)."""

from collections.abc import Mapping
from typing import Literal

from pydantic import JsonValue

from engine.core.events.event import Brief, Event, Evidence

RunOutcome = Literal[
    "succeeded",
    "failed",
    "partial",
    "unknown",
    "skipped",
    "not_needed",
    "cancelled",
    "expired",
]
AttemptOutcome = Literal["succeeded", "failed", "unknown", "cancelled"]
StepPhase = Literal["investigate", "precheck", "guards", "steps", "verify", "rollback", "on_cancel"]
Decision = Literal["approved", "rejected", "expired"]
# What became of the changes that a run made or may have made; "" where none had to be undone.
Rollback = Literal["", "done", "partial", "none"]
StillFiring = Literal["firing", "resolved", "cannot_tell"]
ConfirmationBasis = Literal["source", "last notice"]


class RunCreated(Event):
    """A trigger started a run. `parameters` are typed and complete; `trigger` is its unique key.

    `called` are the texts' hashes of the playbooks that its own one calls, by id. `undoes` is the
    run whose changes this one takes back, "" for any other; `reverts`: because its time has come.
    """

    KIND = "run.created@1"
    run_id: str
    trigger: str
    attempt: int
    playbook_id: str
    playbook_hash: str
    parameters: Mapping[str, JsonValue]
    mode: Literal["observe", "suggest", "approve", "auto"]
    mode_decided_by: str
    reason: Brief
    called: Mapping[str, str] = {}
    undoes: str = ""
    reverts: bool = False


class StepObserved(Event):
    """A read ran: evidence, precheck or one look of a verification."""

    KIND = "step.observed@1"
    run_id: str
    phase: StepPhase
    step_id: str
    outcome: Literal["succeeded", "failed"]
    holds: bool | None = None
    description: str = ""
    outputs: Mapping[str, JsonValue] = {}
    evidence: Evidence = ""
    error: Brief = ""
    duration_s: float = 0.0


class QuestionAsked(Event):
    """Somebody of `ask` is asked, before the plan is made or between its steps.

    `expires_at` is RFC 3339.
    """

    KIND = "question.asked@1"
    run_id: str
    step_id: str
    question: Brief
    choices: tuple[str, ...]
    ask: tuple[str, ...]
    expires_at: str
    phase: Literal["investigate", "steps"] = "investigate"


class QuestionAnswered(Event):
    """One of the choices, or "" where nobody answered in time (via clock)."""

    KIND = "question.answered@1"
    run_id: str
    step_id: str
    answer: str
    via: str
    reason: Brief = ""
    phase: Literal["investigate", "steps"] = "investigate"


class RunPlanned(Event):
    """The plan, frozen: `plan` holds the exact bytes hashed, as text."""

    KIND = "run.planned@1"
    run_id: str
    revision: int
    plan: str
    plan_hash: str
    mode: Literal["observe", "suggest", "approve", "auto"]
    mode_decided_by: str
    holes: tuple[Brief, ...] = ()


class ApprovalRequested(Event):
    """Somebody is asked; `expires_at` is RFC 3339. `why` is a guard's, "" where the mode asks."""

    KIND = "approval.requested@1"
    run_id: str
    approval_id: str
    plan_hash: str
    ask: tuple[str, ...]
    quorum: int
    expires_at: str
    why: Brief = ""


class ApprovalDecided(Event):
    """The answer, or its absence; `via` is the surface (slack, cli, api, clock)."""

    KIND = "approval.decided@1"
    run_id: str
    approval_id: str
    plan_hash: str
    decision: Decision
    via: str
    reason: Brief = ""


class AttemptIntended(Event):
    """The point of no return of one attempt; `not_after` (RFC 3339) bounds its effect.

    `before` is what a probe will compare with, looked at just before.
    """

    KIND = "attempt.intended@1"
    run_id: str
    attempt_id: str
    phase: StepPhase
    step_id: str
    number: int
    description: str
    effect: Literal["change", "destroy"]
    targets: tuple[str, ...]
    not_after: str
    before: Mapping[str, JsonValue] = {}


class AttemptEnded(Event):
    """What is known of an attempt afterwards; `begun` is False when it surely never started."""

    KIND = "attempt.ended@1"
    run_id: str
    attempt_id: str
    phase: StepPhase
    step_id: str
    outcome: AttemptOutcome
    begun: bool = True
    outputs: Mapping[str, JsonValue] = {}
    evidence: Evidence = ""
    error: Brief = ""
    duration_s: float = 0.0


class AttemptProbed(Event):
    """What a look at the target told about an attempt whose outcome was unknown."""

    KIND = "attempt.probed@1"
    run_id: str
    attempt_id: str
    phase: StepPhase
    step_id: str
    answer: Literal["done", "not_done", "in_progress", "cannot_tell"]
    evidence: Evidence = ""


class StepSkipped(Event):
    """A step's `if` was false, or failed to evaluate (then `reason` says how)."""

    KIND = "step.skipped@1"
    run_id: str
    phase: StepPhase
    step_id: str
    reason: Brief


class DeadlinePassed(Event):
    """From here no step begins but those that ask for a failure; what was done is undone."""

    KIND = "run.deadline_passed@1"
    run_id: str
    reason: Brief


class StepWaiting(Event):
    """A step that lets time pass has begun; it is over at `until` (RFC 3339)."""

    KIND = "step.waiting@1"
    run_id: str
    phase: StepPhase
    step_id: str
    until: str


class VerificationStarted(Event):
    """From here the `within` of the verification counts."""

    KIND = "verification.started@1"
    run_id: str


class VerificationEnded(Event):
    """Whether everything held for as long as the playbook wants."""

    KIND = "verification.ended@1"
    run_id: str
    holds: bool
    reason: Brief = ""


class StillFiringAsked(Event):
    """Whether what the run is to mend still fires; `basis` says who told.

    `source`: it was asked at its configured address. `last notice`: it can't be asked, so its
    last notice counts for some time.
    """

    KIND = "still_firing.asked@1"
    run_id: str
    answer: StillFiring
    basis: ConfirmationBasis
    detail: Brief = ""


class RunHeldBack(Event):
    """A guard stands before the first change, or a batch's; the run goes on when it gives way."""

    KIND = "run.held_back@1"
    run_id: str
    guard: str
    reason: Brief


class AlertsExpected(Event):
    """Alerts of these targets wait while the run works on them; `ends_at` (RFC 3339) at most."""

    KIND = "run.alerts_expected@1"
    run_id: str
    silence_id: str
    matchers: tuple[str, ...]
    targets: tuple[str, ...]
    ends_at: str


class RunParked(Event):
    """Advancing the run failed again and again; it is still tried, and a person should look."""

    KIND = "run.parked@1"
    run_id: str
    failures: int
    error: Brief


class RunCancelled(Event):
    """A person ended the plan, or a stop the whole run: then nothing is undone either."""

    KIND = "run.cancelled@1"
    run_id: str
    reason: Brief = ""


class RunJudged(Event):
    """A person says whether a run was, or would have been, the right thing."""

    KIND = "run.judged@1"
    run_id: str
    verdict: Literal["right", "wrong"]
    reason: Brief = ""


class RevertCalledOff(Event):
    """A person lets stay what a run changed for the moment, and says why."""

    KIND = "run.revert_called_off@1"
    run_id: str
    reason: Brief


class FollowUpOpened(Event):
    """A change that was for the moment stays after its run: somebody has to see to it."""

    KIND = "follow_up.opened@1"
    run_id: str
    reason: Brief


class FollowUpDone(Event):
    """What a run left to do is done."""

    KIND = "follow_up.done@1"
    run_id: str
    reason: Brief = ""


class RunEnded(Event):
    """Every run ends once, with an outcome and its reason.

    `changed` is False when nothing of it can have had an effect. `by_guard` names the guard that
    stopped it, "" for none. With `keeps_locks` its targets stay locked until a person lets go.
    `rollback` is the end of its undoing, and `left` names the steps whose changes, as far as known,
    stay. `outputs` are what its playbook gives.
    """

    KIND = "run.ended@1"
    run_id: str
    outcome: RunOutcome
    reason: Brief
    changed: bool = True
    by_guard: str = ""
    keeps_locks: bool = False
    rollback: Rollback = ""
    left: tuple[str, ...] = ()
    outputs: Mapping[str, JsonValue] = {}
