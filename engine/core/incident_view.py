"""An incident as one message shows it: built from the journal, the same for every surface."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from engine.core import events
from engine.core.durations import format_duration
from engine.core.incident import Incident
from engine.core.journal import Entry, told
from engine.core.plan import Plan, PlanPhase
from engine.core.run import RunState, fold
from engine.core.timeline import GAP, timeline, told_of_firing

LATEST_LINES = 8
_QUIET = (
    "step.observed@1",
    "still_firing.asked@1",
    "message.sent@1",
    "approval.requested@1",
    "verification.started@1",
)


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """What an approver must see: the exact commands, who may decide, until when."""

    id: str
    plan_hash: str
    commands: tuple[str, ...]
    rollback: tuple[str, ...]
    verification: tuple[str, ...]
    ask: tuple[str, ...]
    expires_at: datetime
    decision: events.Decision | None = None
    decided_by: str = ""


@dataclass(frozen=True, slots=True)
class IncidentView:
    """`evidence` pairs a step with what it saw; `lines` are the latest news, oldest first.

    `revision` is the sequence of the last entry that it tells about.
    """

    incident_id: str
    name: str
    severity: str
    status: str
    phase: str
    title: str
    rule_id: str
    service: str
    environment: str
    mode: str
    mode_decided_by: str
    evidence: tuple[tuple[str, str], ...]
    lines: tuple[str, ...]
    outcome: str
    outcome_reason: str
    ticket_url: str
    approval: ApprovalView | None
    revision: int


def view(incident: Incident, entries: Sequence[Entry]) -> IncidentView:
    """The incident after `entries`: its chain, or of a long one the run's part and the end."""
    # A storm's entries are long, and most of them say nothing here: those aren't read.
    story = told(entries) if incident.run_id else []
    run = fold(incident.run_id, story) if incident.run_id else None
    latest = [entry for entry in entries if entry.kind not in _QUIET][-LATEST_LINES:]
    return IncidentView(
        incident_id=incident.id,
        name=incident.name,
        severity=incident.severity.name,
        status=incident.status,
        phase=incident.phase,
        title=incident.title,
        rule_id=incident.rule_id,
        service=incident.service,
        environment=incident.environment,
        mode=run.mode.value if run else incident.mode.value,
        mode_decided_by=run.mode_decided_by if run else f"rule {incident.rule_id}",
        evidence=(
            *_evidence(story, incident.run_id),
            *_confirmation(run),
            *_asks(run),
            *_gives(run),
        ),
        lines=tuple(
            f"{line.at:%H:%M:%S} {line.text}" for line in timeline(latest) if line.kind != GAP
        ),
        outcome=run.outcome or "" if run else "",
        outcome_reason=run.outcome_reason if run else "",
        ticket_url=incident.ticket_url,
        approval=_approval(run) if run else None,
        revision=entries[-1].seq if entries else 0,
    )


def told_by(shown: IncidentView) -> tuple[str, ...]:
    """All that a message which shows this says, one text a line or part, without times."""
    approval = shown.approval
    return (
        f"{shown.severity} {shown.name}: {shown.title}",
        *(f"{asked}: {seen}" for asked, seen in shown.evidence),
        *((*approval.commands, *approval.rollback, *approval.verification) if approval else ()),
        *(line.partition(" ")[2] for line in shown.lines),
        *((f"{shown.outcome}: {shown.outcome_reason}",) if shown.outcome else ()),
    )


def _evidence(
    story: Sequence[tuple[events.Event, datetime, str]], run_id: str
) -> tuple[tuple[str, str], ...]:
    return tuple(
        (event.description or event.step_id, event.evidence or event.error)
        for event, _, _ in story
        if isinstance(event, events.StepObserved)
        and event.phase == "investigate"
        and event.run_id == run_id
    )


def _confirmation(run: RunState | None) -> tuple[tuple[str, str], ...]:
    if run is None or run.confirmed is None:
        return ()
    confirmation = run.confirmed.confirmation
    return (("does it still fire?", told_of_firing(confirmation)),)


def _asks(run: RunState | None) -> tuple[tuple[str, str], ...]:
    if run is None or run.approval is None or not run.approval.why:
        return ()
    return (("why is a person asked?", run.approval.why),)


def _gives(run: RunState | None) -> tuple[tuple[str, str], ...]:
    if run is None or not run.outputs:
        return ()
    told = "\n".join(f"{name}: {shown(value)}" for name, value in run.outputs.items())
    return (("what came of it", told),)


def _approval(run: RunState) -> ApprovalView | None:
    if run.approval is None or run.plan is None:
        return None
    return ApprovalView(
        id=run.approval.id,
        plan_hash=run.approval.plan_hash,
        commands=descriptions(run.plan, "steps"),
        rollback=(
            *descriptions(run.plan, "rollback"),
            *what_follows(run.plan),
            *afterwards(run.plan),
        ),
        verification=tuple(
            f"{step.description} until {step.until}" for step in run.plan.of("verify")
        ),
        ask=run.plan.approval_from,
        expires_at=run.approval.expires_at,
        decision=run.approval.decision,
        decided_by=run.approval.actor,
    )


def shown(value: JsonValue) -> str:
    """A parameter's value for people."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def afterwards(plan: Plan) -> tuple[str, ...]:
    """What becomes of a change that helped, for people; empty where it is for good."""
    if plan.revert_after_s is not None:
        span = format_duration(timedelta(seconds=plan.revert_after_s))
        return (f"it is taken back {span} after it helped",)
    return (f"it stays, and is left to do: {plan.keep}",) if plan.keep else ()


def what_follows(plan: Plan) -> tuple[str, ...]:
    """What a failure starts, for people; empty where nothing follows."""
    start = plan.on_failure
    if start is None:
        return ()
    given = ", ".join(f"{name}={shown(value)}" for name, value in start.parameters.items())
    return (f"playbook {start.playbook} ({given}) follows a failure, as a run of its own",)


def descriptions(plan: Plan, phase: PlanPhase) -> tuple[str, ...]:
    """The exact commands of a phase, for people."""
    return tuple(step.told for step in plan.of(phase))
