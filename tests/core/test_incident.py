"""An incident is what its entries make of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from engine.core import events
from engine.core.incident import Incident, apply, correlation_key, incident_id, opened
from engine.core.severity import Mode, Severity
from tests.doubles.runs import START, an_incident

LATER = START + timedelta(minutes=3)


def story(*happened: events.Event) -> Incident:
    incident = an_incident()
    for event in happened:
        incident = apply(incident, event, LATER)
    return incident


def answered(answer: str) -> events.QuestionAnswered:
    return events.QuestionAnswered(run_id="run", step_id="which", answer=answer, via="cli")


def decided(decision: events.Decision) -> events.ApprovalDecided:
    return events.ApprovalDecided(
        run_id="run", approval_id="a", plan_hash="h", decision=decision, via="cli"
    )


def ended(outcome: events.RunOutcome) -> events.RunEnded:
    return events.RunEnded(run_id="run", outcome=outcome, reason="")


def intended() -> events.AttemptIntended:
    return events.AttemptIntended(
        run_id="run",
        attempt_id="a",
        phase="steps",
        step_id="restart",
        number=1,
        description="",
        effect="change",
        targets=("host",),
        not_after=LATER.isoformat(),
    )


def test_the_first_entry_makes_it() -> None:
    event = events.IncidentOpened(
        incident_id="i",
        number=7,
        correlation_key="k",
        partition_key="p",
        rule_id="r",
        severity="P2",
        title="down",
        mode="auto",
        group={"service": "llm"},
        postmortem=True,
    )
    incident = opened(event, START)
    assert (incident.name, incident.severity, incident.mode) == ("INC-7", Severity.P2, Mode.AUTO)
    assert (incident.status, incident.phase, incident.opened_at) == ("open", "idle", START)
    assert incident.wants_postmortem


def test_occurrences_join_and_leave_and_leave_only_their_number() -> None:
    joined = events.OccurrenceJoined(occurrence_ids=("a", "b"), digest="d")
    incident = story(joined, events.OccurrenceEnded(occurrence_ids=("a",), by="source"))
    assert (incident.open_count, incident.occurrences) == (1, 2)


@pytest.mark.parametrize(
    ("happened", "phase"),
    [
        pytest.param(ended("succeeded"), "idle", id="succeeded"),
        pytest.param(ended("not_needed"), "idle", id="not needed"),
        pytest.param(ended("failed"), "needs_person", id="failed"),
        pytest.param(ended("expired"), "needs_person", id="expired"),
        pytest.param(
            ended("skipped").model_copy(update={"by_guard": "cooldown"}), "needs_person", id="guard"
        ),
        pytest.param(ended("unknown"), "needs_person", id="unknown"),
        pytest.param(intended(), "running", id="an attempt"),
        pytest.param(events.VerificationStarted(run_id="run"), "verifying", id="verifying"),
    ],
)
def test_the_phase_follows_the_run(happened: events.Event, phase: str) -> None:
    assert story(happened).phase == phase


def test_a_run_that_only_observed_never_calls_for_a_person() -> None:
    incident = replace(an_incident(), mode=Mode.OBSERVE)
    assert apply(incident, ended("failed"), LATER).phase == "idle"


@pytest.mark.parametrize(
    ("happened", "acknowledged"),
    [
        pytest.param(decided("approved"), True, id="an approval"),
        pytest.param(decided("rejected"), True, id="a rejection"),
        pytest.param(decided("expired"), False, id="silence is none"),
        pytest.param(answered("v2"), True, id="an answer"),
        pytest.param(answered(""), False, id="no answer in time"),
        pytest.param(intended(), True, id="the first step of automation"),
        pytest.param(events.IncidentAcknowledged(), True, id="a person's word"),
    ],
)
def test_what_acknowledges(happened: events.Event, acknowledged: bool) -> None:
    assert (story(happened).acknowledged_at == LATER) is acknowledged


def test_the_first_acknowledgement_counts() -> None:
    first = apply(an_incident(), events.IncidentAcknowledged(), START)
    assert apply(first, decided("approved"), LATER).acknowledged_at == START


def test_only_a_verification_that_held_mitigates() -> None:
    held = events.VerificationEnded(run_id="run", holds=True)
    failed = events.VerificationEnded(run_id="run", holds=False)
    assert story(failed).mitigated_at is None
    assert story(failed, held).mitigated_at == LATER


def test_what_cleared_by_itself_needs_nobody_any_more() -> None:
    assert story(ended("failed")).phase == "needs_person"
    assert story(ended("failed"), events.IncidentResolved()).phase == "idle"


def test_what_fires_again_after_its_run_needs_a_person() -> None:
    for outcome in ("succeeded", "skipped"):
        over = story(ended(outcome), events.IncidentResolved())
        assert over.phase == "idle"
        assert apply(over, events.IncidentReopened(), LATER).phase == "needs_person"


def test_resolved_reopened_closed() -> None:
    resolved = story(events.IncidentResolved())
    assert (resolved.status, resolved.resolved_at) == ("resolved", LATER)
    again = apply(resolved, events.IncidentReopened(), LATER)
    assert (again.status, again.phase) == ("open", "idle")
    assert apply(resolved, events.IncidentClosed(), LATER).status == "closed"


def test_the_correlation_key_is_of_the_rule_and_the_group_in_any_order() -> None:
    one = correlation_key("r", {"a": "1", "b": "2"})
    assert one == correlation_key("r", {"b": "2", "a": "1"})
    assert one != correlation_key("r", {"a": "2", "b": "1"})
    assert incident_id(one, "first") != incident_id(one, "second")
