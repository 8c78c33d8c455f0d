"""Temporary remedies: how each of them ends, and what is left to do where its change stays."""

from collections.abc import Sequence

from engine.core import events
from engine.core.documents import PlaybookDocument
from engine.core.incident import Incident
from engine.core.mistakes import Mistakes
from engine.core.playbook import Step
from engine.core.run import RunState


def is_temporary(document: PlaybookDocument) -> bool:
    """Whether its author says that its change isn't for good."""
    return document.temporary or document.revert is not None


def check_temporary(document: PlaybookDocument, steps: Sequence[Step], mistakes: Mistakes) -> None:
    """Whoever helps for the moment says when that ends, or why it stays."""
    called = next(
        (step.call.playbook.id for step in steps if step.call and step.call.playbook.is_temporary),
        "",
    )
    if document.revert is not None:
        if document.keep is not None:
            mistakes.at("keep").add("`revert` takes it back, so nothing stays: remove one of them")
        return
    how = "write `revert: {after: 2h}`, or `keep` with why it stays"
    if document.keep is not None:
        if not document.temporary and not called:
            mistakes.at("keep").add("it belongs to a remedy for the moment: add `temporary: true`")
    elif document.temporary:
        mistakes.at("temporary").add(f"it doesn't say how it ends: {how}")
    elif called:
        mistakes.at("steps").add(
            f"playbook {called!r}, which is called, is temporary, and a call doesn't take it "
            f"back: {how}"
        )


def follow_ups(
    ended: events.RunEnded, state: RunState, incident: Incident
) -> Sequence[events.Event]:
    """What the end of a run leaves for people to do, or what it did for them."""
    plan = state.plan
    if state.undoes:
        if ended.outcome == "succeeded" and state.undoes in incident.follow_ups:
            return (events.FollowUpDone(run_id=state.undoes, reason="it was taken back"),)
        if ended.outcome != "succeeded" and state.reverts:
            reason = f"its time is over, and it wasn't taken back: {ended.reason}"
            return (events.FollowUpOpened(run_id=state.undoes, reason=reason),)
        return ()
    if plan is None or not state.verified:
        return ()
    why = plan.keep
    if plan.revert_after_s is not None and ended.outcome != "succeeded":
        why = "not everything was done, so it isn't taken back by itself"
    if not why:
        return ()
    return (events.FollowUpOpened(run_id=state.run_id, reason=f"{plan.playbook_id} stays: {why}"),)
