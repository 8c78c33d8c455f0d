"""Begins a run that takes another one back, in one transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from engine.core import events
from engine.core.incident import Incident, chain_of
from engine.core.journal import told
from engine.core.plan import Plan
from engine.core.plan import run_id as derived_run_id
from engine.core.run import RunState, fold
from engine.core.severity import ModeLimit
from engine.core.trigger import trigger_key
from engine.core.undoing import undoable
from engine.errors import ConflictError
from engine.ports.recording import task_for
from engine.ports.store import Tx
from engine.ports.stories import COMING_AND_GOING


def way_back(
    tx: Tx, incident: Incident, run_id: str, mode: ModeLimit, reason: str
) -> events.RunCreated:
    """The first entry of a run that takes this one back.

    Raises ConflictError where nothing can be taken back, or something does so already.
    """
    entries = tx.entries(chain_of(incident.id), without=COMING_AND_GOING)
    story = told(entries)
    state = fold(run_id, story)
    if state is None or state.outcome is None:
        raise ConflictError(f"run {run_id!r} is under way: `quell cancel` takes it back")
    others = (
        fold(event.run_id, story)
        for event, _, _ in story
        if isinstance(event, events.RunCreated) and event.undoes == run_id
    )
    if any(each is not None and each.outcome in (None, "succeeded") for each in others):
        raise ConflictError(f"run {run_id!r} is taken back already, or is about to be")
    if not undoable(state):
        raise ConflictError(
            f"run {run_id!r} changed nothing that its playbook has a rollback for, or has undone "
            "it itself"
        )
    return _created(incident, state, mode, reason)


def revert_later(
    tx: Tx, incident: Incident, plan: Plan | None, story: Sequence[events.Event]
) -> None:
    """Set the timer that takes a temporary remedy back, where `story` ends its run well."""
    for event in story:
        ends_well = isinstance(event, events.RunEnded) and event.outcome == "succeeded"
        if ends_well and plan is not None and plan.revert_after_s is not None:
            timer = task_for(incident, "tick", f"revert/{plan.run_id}", tx)
            due = tx.now + timedelta(seconds=plan.revert_after_s)
            tx.put_task(replace(timer, not_before=due))


def _created(
    incident: Incident, undone: RunState, mode: ModeLimit, reason: str
) -> events.RunCreated:
    attempt = incident.runs + 1
    return events.RunCreated(
        run_id=derived_run_id(incident.id, incident.rule_id, attempt),
        trigger=trigger_key(incident.id, incident.rule_id, attempt),
        attempt=attempt,
        playbook_id=undone.playbook_id,
        playbook_hash=undone.playbook_hash,
        parameters=undone.parameters,
        mode=mode.mode.value,
        mode_decided_by=mode.decided_by,
        reason=reason,
        called=undone.called,
        undoes=undone.run_id,
    )
