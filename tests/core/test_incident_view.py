"""What every surface shows of an incident."""

from collections.abc import Sequence
from dataclasses import replace

from engine.core import events
from engine.core.incident import Incident
from engine.core.incident_view import LATEST_LINES, told_by, view
from engine.core.journal import Entry
from tests.doubles.runs import START
from tests.doubles.stories import JOINED, OPENED, a_story, told


def test_an_approver_sees_the_exact_commands_and_until_when() -> None:
    _, entries = a_story()
    asked = next(i for i, e in enumerate(entries) if e.kind == events.ApprovalRequested.KIND)
    so_far = entries[: asked + 1]
    shown = view(_incident_after(so_far), so_far)
    assert shown.approval is not None
    assert shown.approval.commands == ("host$ restart",)
    assert shown.approval.verification == ("host$ serves until result.ok",)
    assert (shown.approval.decision, shown.approval.ask) == (None, ("role:oncall",))
    assert shown.approval.expires_at > START
    assert shown.revision == asked + 1


def _incident_after(entries: Sequence[Entry]) -> Incident:
    known = [(event, e.at, e.actor) for e in entries if (event := e.event()) is not None]
    return told(known)[0]


def test_at_the_end_the_decision_the_outcome_and_the_ticket_are_shown() -> None:
    incident, entries = a_story()
    shown = view(incident, entries)
    assert shown.approval is not None
    assert (shown.approval.decision, shown.approval.decided_by) == ("approved", "slack:T/U")
    assert (shown.outcome, shown.status, shown.ticket_url) == (
        "succeeded",
        "resolved",
        "https://j/OPS-1",
    )
    assert shown.lines[-1].endswith("ticket OPS-1 opened in jira")
    assert len(shown.lines) <= 8


def test_without_a_run_only_the_entries_that_are_shown_are_read() -> None:
    incident, entries = told([(OPENED, START, "engine"), *[(JOINED, START, "engine")] * 20])
    unreadable = [replace(entry, body=b"no JSON") for entry in entries[:-LATEST_LINES]]
    shown = view(incident, [*unreadable, *entries[-LATEST_LINES:]])
    assert len(shown.lines) == LATEST_LINES
    assert shown == view(incident, entries)


def test_what_says_nothing_new_takes_no_line() -> None:
    sent = events.MessageSent(notifier="chat", ref="1", revision=1)
    joined = [(JOINED, START, "engine")] * LATEST_LINES
    incident, entries = told([(OPENED, START, "engine"), *joined, (sent, START, "engine")])
    shown = view(incident, entries)
    assert [line.partition(" ")[2] for line in shown.lines] == [
        "2 alerts firing: LLMEndpointDown"
    ] * LATEST_LINES
    assert shown.revision == len(entries)


def test_an_incident_without_a_run_has_no_approval_and_no_outcome() -> None:
    incident, entries = told([(OPENED, START, "engine"), (JOINED, START, "engine")])
    shown = view(incident, entries)
    assert (shown.approval, shown.outcome, shown.mode_decided_by) == (
        None,
        "",
        "rule vllm-not-answering",
    )


def test_a_message_says_what_is_shown_without_its_times() -> None:
    incident, entries = a_story()
    texts = told_by(view(incident, entries))
    shown = view(incident, entries)
    assert texts[0] == f"{shown.severity} {shown.name}: {shown.title}"
    assert texts[-1] == f"{shown.outcome}: {shown.outcome_reason}"
    assert "host$ restart" in texts
    assert shown.lines[-1].partition(" ")[2] in texts
