"""The one way to write an incident's story: journal, projections and follow-up work together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from engine.core import events
from engine.core.incident import REOPEN_WITHIN, Incident, apply, chain_of, opened
from engine.core.journal import NewEntry
from engine.core.severity import Mode
from engine.errors import NotFoundError
from engine.ports.rows import ApprovalRow, RunRow, Task, TaskKind
from engine.ports.store import Tx

# People read one message an incident; what happens within this time is told together.
MESSAGE_DELAY = timedelta(milliseconds=300)


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes (`actor`), and the catalog version that the decision was made with."""

    actor: str = "engine"
    catalog: str = ""


def open_incident(tx: Tx, event: events.IncidentOpened, author: Author) -> Incident:
    """Write the first entry of a new incident and return it."""
    (kept,) = _journaled(tx, event.incident_id, [event], author)
    assert isinstance(kept, events.IncidentOpened)
    incident = opened(kept, tx.now)
    tx.put_incident(incident)
    _follow_up(tx, incident, kept)
    return incident


def record(tx: Tx, incident: Incident, story: Sequence[events.Event], author: Author) -> Incident:
    """Append `story` to the incident's chain and return the incident after it."""
    if not story:
        return incident
    for event in _journaled(tx, incident.id, story, author):
        incident = apply(incident, event, tx.now)
        _project(tx, incident, event, author)
        _follow_up(tx, incident, event)
    tx.put_incident(incident)
    return incident


def _journaled(
    tx: Tx, incident: str, story: Sequence[events.Event], author: Author
) -> list[events.Event]:
    """Append, and return the story as it is kept: no projection holds what the journal doesn't."""
    new = [NewEntry(event, tx.now, author.actor, author.catalog) for event in story]
    kept = [entry.event() for entry in tx.append(chain_of(incident), new)]
    return [event for event in kept if event is not None]


def incident_of(tx: Tx, task: Task) -> Incident:
    """The incident that a task belongs to, without its chain. Raises NotFoundError."""
    incident = tx.incident(str(task.payload["incident_id"]))
    if incident is None:
        raise NotFoundError(f"task {task.id!r} names an incident that isn't there")
    return incident


def _project(tx: Tx, incident: Incident, event: events.Event, author: Author) -> None:
    match event:
        case events.RunCreated():
            tx.create_run(
                RunRow(
                    id=event.run_id,
                    incident_id=incident.id,
                    trigger=event.trigger,
                    playbook_id=event.playbook_id,
                    playbook_hash=event.playbook_hash,
                    phase="active",
                    outcome="",
                    created_at=tx.now,
                )
            )
            tx.put_task(task_for(incident, "run", event.run_id, tx))
        case events.RunCancelled():
            run = tx.run(event.run_id)
            if run is not None and run.ended_at is None:
                tx.put_run(replace(run, phase="cancelling"))
        case events.RunEnded():
            run = tx.run(event.run_id)
            if run is not None:
                ended = replace(run, phase="ended", outcome=event.outcome, ended_at=tx.now)
                tx.put_run(ended)
            if not event.changed:
                tx.forget_reservations(event.run_id)
            elif not event.keeps_locks:
                tx.release(event.run_id, event.outcome)
        case events.ApprovalRequested():
            tx.create_approval(
                ApprovalRow(
                    id=event.approval_id,
                    run_id=event.run_id,
                    incident_id=incident.id,
                    plan_hash=event.plan_hash,
                    ask=event.ask,
                    state="pending",
                    requested_at=tx.now,
                    expires_at=events.moment(event.expires_at),
                )
            )
        case events.ApprovalDecided() if event.decision == "expired":
            tx.decide_approval(event.approval_id, "expired", author.actor)
        case _:
            pass


def _follow_up(tx: Tx, incident: Incident, event: events.Event) -> None:
    """The tasks that an entry brings with it, in its own transaction."""
    told = isinstance(event, events.MessageSent | events.StepObserved | events.StillFiringAsked)
    if tx.publishes and not told:
        tx.put_task(task_for(incident, "publish", incident.id, tx))
    if incident.notify and incident.mode is not Mode.OBSERVE and not told:
        message = task_for(incident, "message", incident.id, tx)
        tx.put_task(replace(message, not_before=tx.now + MESSAGE_DELAY))
    sets_clocks = events.IncidentOpened | events.IncidentReopened | events.SeverityRaised
    if isinstance(event, sets_clocks) and incident.mode is not Mode.OBSERVE:
        tx.put_task(task_for(incident, "clock", incident.id, tx))
    # It tells of the whole run, so it waits for one that is still under way.
    settled = incident.status != "open" and not incident.run_under_way
    ends = isinstance(event, events.IncidentResolved | events.RunEnded)
    if ends and settled and incident.wants_postmortem:
        tx.put_task(task_for(incident, "postmortem", incident.id, tx))
    if isinstance(event, events.IncidentResolved):
        tick = task_for(incident, "tick", f"incident_close/{incident.id}", tx)
        tx.put_task(replace(tick, not_before=(incident.resolved_at or tx.now) + REOPEN_WITHIN))
    if isinstance(event, events.PostmortemWritten):
        tx.put_task(task_for(incident, "ticket", incident.id, tx))


def task_for(incident: Incident, kind: TaskKind, key: str, tx: Tx) -> Task:
    """A task of this incident, due now, as urgent as the incident is severe."""
    return Task(
        kind=kind,
        key=key,
        not_before=tx.now,
        priority=int(incident.severity),
        payload={"incident_id": incident.id, "partition_key": incident.partition_key},
    )
