"""Begins a run that takes another one back, or calls that off, in one transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from engine.core import events
from engine.core.incident import Incident, chain_of
from engine.core.journal import told
from engine.core.plan import Plan
from engine.core.plan import run_id as derived_run_id
from engine.core.run import RunState, Story
from engine.core.severity import ModeLimit
from engine.core.trigger import trigger_key
from engine.core.undoing import left_behind, undoable, ways_back
from engine.errors import ConflictError, NotFoundError
from engine.ports.recording import Author, record, task_for
from engine.ports.rows import RunRow
from engine.ports.store import Tx
from engine.ports.stories import COMING_AND_GOING


def way_back(
    tx: Tx, incident: Incident, run_id: str, mode: ModeLimit, reason: str, *, reverts: bool = False
) -> events.RunCreated:
    """The first entry of a run that takes this one back; `reverts`: because its time has come.

    Raises ConflictError where nothing can be taken back, or something does so already.
    """
    story = _story(tx, incident)
    state, backs = left_behind(run_id, story), ways_back(run_id, story)
    if state is None or state.outcome is None:
        raise ConflictError(f"run {run_id!r} is under way: `quell cancel` takes it back")
    if reverts and state.kept_by:
        raise ConflictError(f"run {run_id!r} stays as it is: {state.kept_by} called it off")
    if any(each.outcome in (None, "succeeded") for each in backs):
        raise ConflictError(f"run {run_id!r} is taken back already, or is about to be")
    if incident.run_under_way:
        raise ConflictError(
            f"another run of {incident.name} is under way: wait for its end, or `quell cancel "
            f"{incident.name}`"
        )
    if not undoable(state):
        raise ConflictError(
            f"run {run_id!r} changed nothing that its playbook has a rollback for, or has undone "
            f"it itself{_others_left(run_id, story)}"
        )
    created = _created(incident, state, mode, reason)
    return created.model_copy(update={"reverts": reverts})


def call_off(tx: Tx, run: RunRow, reason: str, author: Author) -> Incident:
    """Let stay what a run changed for the moment; its incident afterwards.

    A revert that waits for its condition ends. Raises ConflictError where nothing would take the
    run back, or something has begun to.
    """
    incident = tx.incident(run.incident_id)
    if incident is None:
        raise NotFoundError(f"run {run.id!r} has no incident")
    before = _story(tx, incident)
    state = left_behind(run.id, before)
    if state is not None and state.reverts:
        state = left_behind(state.undoes, before)
    if state is None or state.plan is None or state.outcome != "succeeded":
        raise ConflictError(f"run {run.id!r} did not succeed, so nothing takes it back by itself")
    if state.plan.revert_after_s is None:
        raise ConflictError(f"playbook {run.playbook_id} has no `revert`: its change stays anyway")
    if state.kept_by:
        raise ConflictError(f"its revert is called off already, by {state.kept_by}")
    backs = ways_back(state.run_id, before)
    if any(each.began or each.outcome == "succeeded" for each in backs):
        raise ConflictError(
            f"run {state.run_id!r} is taken back already, or is being: `quell cancel` ends that"
        )
    waiting = [each.run_id for each in backs if each.outcome is None]
    left = f"{state.playbook_id} stays: {reason}"
    story = [
        events.RevertCalledOff(run_id=state.run_id, reason=reason),
        *(events.RunCancelled(run_id=each, reason=reason) for each in waiting),
        events.FollowUpOpened(run_id=state.run_id, reason=left),
    ]
    for each in waiting:
        tx.wake_task("run", each)
    return record(tx, incident, story, author)


def _story(tx: Tx, incident: Incident) -> Story:
    return told(tx.entries(chain_of(incident.id), without=COMING_AND_GOING))


def _others_left(run_id: str, story: Story) -> str:
    """Which other runs of the incident can be taken back; "" where none can.

    An incident's name means its latest run, and the change may be of one that it followed.
    """
    created = [event for event, _, _ in story if isinstance(event, events.RunCreated)]
    words = [
        f"; `quell rollback {each.run_id}` takes back the run of {each.playbook_id} before it"
        for each in created
        if each.run_id != run_id and not each.undoes
        if (left := left_behind(each.run_id, story)) is not None and undoable(left)
        if all(back.outcome not in (None, "succeeded") for back in ways_back(each.run_id, story))
    ]
    return "".join(words)


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
