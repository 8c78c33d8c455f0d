"""What a run does next, in tables."""

from dataclasses import replace
from datetime import timedelta

import pytest

from engine.core import events
from engine.core.expressions import Scope, ValueType, compile_expression
from engine.core.run_commands import (
    Attempt,
    Ended,
    Probe,
    Read,
    Record,
    Wait,
)
from engine.core.severity import Mode
from tests.doubles.runs import Drive, a_playbook, a_step, an_incident

UNDO = a_step("undo", "rollback")


def test_it_investigates_plans_looks_asks_and_only_then_changes() -> None:
    drive = Drive(a_playbook(investigate=(a_step("gpu", "investigate"),)))
    asked = drive.until_interesting()
    assert isinstance(asked, Record)
    assert isinstance(asked.event, events.ApprovalRequested)
    kinds = [event.KIND for event, _, _ in drive.story]
    assert kinds == [
        "run.created@1",
        "step.observed@1",
        "run.planned@1",
        "step.observed@1",
        "approval.requested@1",
    ]
    assert isinstance(drive.next(), Wait)
    drive.decide("approved")
    assert isinstance(drive.next(), Attempt)


def test_a_successful_step_and_a_verification_that_stays_end_it_succeeded() -> None:
    drive = Drive(a_playbook())
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    assert isinstance(drive.until_interesting(holds=True), Ended)
    assert drive.state.outcome == "succeeded"
    looks = drive.state.looks["serves"]
    assert looks[-1].at - looks[0].at >= timedelta(seconds=10), "stable_for was not waited for"


def test_the_precheck_is_fresh_when_the_first_change_is_attempted() -> None:
    drive = Drive(a_playbook())
    drive.until_interesting()
    drive.now += timedelta(minutes=5)
    drive.decide("approved")
    command = drive.next()
    assert isinstance(command, Read)
    assert command.phase == "precheck"
    drive.look(command, holds=True)
    drive.until_interesting()
    assert drive.state.outcome == "not_needed"


def test_two_slow_verify_steps_do_not_make_each_other_stale_for_ever() -> None:
    slow = (a_step("serves", "verify"), a_step("scraped", "verify"))
    drive = Drive(replace(a_playbook(), verify=slow))
    drive.until_interesting()
    drive.now += timedelta(minutes=5)
    drive.decide("approved")
    looked = []
    while isinstance(command := drive.next(), Read):
        looked.append(command.step.id)
        drive.now += timedelta(seconds=40)
        drive.look(command, holds=False)
    assert looked == ["serves", "scraped"]
    assert isinstance(command, Attempt)


@pytest.mark.parametrize(
    ("decision", "outcome"), [("rejected", "cancelled"), ("expired", "expired")]
)
def test_without_a_yes_nothing_is_changed(decision: events.Decision, outcome: str) -> None:
    drive = Drive(a_playbook())
    drive.until_interesting()
    drive.decide(decision)
    assert isinstance(drive.until_interesting(), Ended)
    assert (drive.state.outcome, drive.state.began) == (outcome, False)


def test_an_unanswered_request_expires_by_the_clock() -> None:
    drive = Drive(a_playbook())
    drive.until_interesting()
    waiting = drive.next()
    assert isinstance(waiting, Wait)
    drive.now = waiting.until
    expired = drive.next()
    assert isinstance(expired, Record)
    assert isinstance(expired.event, events.ApprovalDecided)
    assert (expired.event.decision, expired.event.via) == ("expired", "clock")


@pytest.mark.parametrize(
    ("mode", "always", "asks"),
    [
        pytest.param(Mode.AUTO, False, False, id="auto"),
        pytest.param(Mode.AUTO, True, True, id="auto but the playbook always asks"),
        pytest.param(Mode.APPROVE, False, True, id="approve"),
        pytest.param(Mode.SUGGEST, False, True, id="suggest waits for a person to start it"),
    ],
)
def test_who_is_asked_follows_from_the_mode(mode: Mode, always: bool, asks: bool) -> None:
    drive = Drive(a_playbook(), mode=mode, always=always)
    command = drive.until_interesting()
    assert isinstance(command, Record if asks else Attempt)


def test_observe_plans_without_looking_and_changes_nothing() -> None:
    drive = Drive(a_playbook(investigate=(a_step("gpu", "investigate"),)), mode=Mode.OBSERVE)
    assert isinstance(drive.until_interesting(), Ended)
    assert [event.KIND for event, _, _ in drive.story] == [
        "run.created@1",
        "run.planned@1",
        "run.ended@1",
    ]
    assert drive.state.outcome == "skipped"


def test_an_incident_that_clears_before_the_first_change_skips_the_run() -> None:
    drive = Drive(a_playbook())
    drive.until_interesting()
    drive.incident = an_incident("resolved")
    drive.until_interesting()
    assert drive.state.outcome == "skipped"


def test_an_incident_that_clears_during_a_step_is_verified_all_the_same() -> None:
    drive = Drive(a_playbook())
    intent = drive.intend(drive.to_first_attempt())
    drive.incident = an_incident("resolved")
    drive.end(intent, "succeeded")
    drive.until_interesting(holds=True)
    assert drive.state.outcome == "succeeded"


def test_a_verification_that_never_holds_rolls_back_and_fails() -> None:
    drive = Drive(a_playbook(a_step("restart", rollback=(UNDO,))))
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    command = drive.until_interesting(holds=False)
    assert isinstance(command, Attempt)
    assert command.step.id == "undo"
    drive.end(drive.intend(command), "succeeded")
    drive.until_interesting()
    assert drive.state.outcome == "failed"
    assert "serves did not hold within 60 s" in drive.state.outcome_reason


def test_what_can_not_be_undone_after_a_failure_is_a_partial_success() -> None:
    drive = Drive(a_playbook(a_step("drain"), a_step("restart")))
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    second = drive.until_interesting()
    assert isinstance(second, Attempt)
    drive.end(drive.intend(second), "failed")
    drive.until_interesting()
    assert drive.state.outcome == "partial"
    assert "drain" in drive.state.outcome_reason


def test_an_attempt_that_never_began_is_retried_as_often_as_the_playbook_says() -> None:
    drive = Drive(a_playbook(a_step("restart", retry_attempts=2)))
    first = drive.to_first_attempt()
    drive.end(drive.intend(first), "failed", begun=False)
    waiting = drive.next()
    assert isinstance(waiting, Wait)
    drive.now = waiting.until
    second = drive.next()
    assert isinstance(second, Attempt)
    assert second.number == 2
    drive.end(drive.intend(second), "failed", begun=False)
    drive.until_interesting()
    assert drive.state.outcome == "failed"


def test_an_attempt_that_began_and_failed_is_never_retried() -> None:
    drive = Drive(a_playbook())
    drive.end(drive.intend(drive.to_first_attempt()), "failed", begun=True)
    drive.until_interesting()
    assert drive.state.outcome == "failed"


def test_nobody_probes_before_the_effect_can_no_longer_be_under_way() -> None:
    drive = Drive(a_playbook(), repeat="probe")
    intent = drive.intend(drive.to_first_attempt())
    waiting = drive.next()
    assert isinstance(waiting, Wait)
    assert waiting.until == events.moment(intent.not_after) + timedelta(seconds=5)
    drive.now = waiting.until
    assert isinstance(drive.next(), Probe)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        pytest.param("done", "succeeded", id="done counts as succeeded"),
        pytest.param("cannot_tell", "unknown", id="nobody can tell: a person"),
    ],
)
def test_a_probe_settles_an_unknown_outcome(answer: str, outcome: str) -> None:
    drive = Drive(a_playbook(), repeat="probe")
    drive.intend(drive.to_first_attempt())
    probe = drive.until_interesting()
    assert isinstance(probe, Probe)
    drive.probe(probe, answer)
    drive.until_interesting(holds=True)
    assert drive.state.outcome == outcome


def test_an_interrupted_attempt_that_was_not_done_is_made_up_for_but_not_for_ever() -> None:
    drive = Drive(a_playbook(), repeat="probe")
    command = drive.to_first_attempt()
    attempts = 0
    while isinstance(command, Attempt):
        drive.intend(command)
        attempts += 1
        probe = drive.until_interesting()
        assert isinstance(probe, Probe)
        drive.probe(probe, "not_done")
        command = drive.until_interesting()  # type: ignore[assignment]
    assert (attempts, drive.state.outcome) == (3, "failed")


def test_an_interrupted_harmless_attempt_is_simply_made_again() -> None:
    drive = Drive(a_playbook(), repeat="harmless")
    drive.intend(drive.to_first_attempt())
    again = drive.until_interesting()
    assert isinstance(again, Attempt)
    assert again.number == 2


def test_a_harmless_change_without_an_answer_is_made_again_but_not_at_once() -> None:
    drive = Drive(a_playbook(), repeat="harmless")
    intent = drive.intend(drive.to_first_attempt())
    drive.end(intent, "unknown")
    waiting = drive.next()
    assert isinstance(waiting, Wait)
    assert waiting.until == events.moment(intent.not_after) + timedelta(seconds=5)
    assert isinstance(drive.until_interesting(), Attempt)


def test_a_probe_that_finds_it_in_progress_looks_again_but_not_for_ever() -> None:
    drive = Drive(a_playbook(), repeat="probe")
    drive.intend(drive.to_first_attempt())
    probes = 0
    while isinstance(command := drive.until_interesting(), Probe):
        drive.probe(command, "in_progress")
        probes += 1
    assert probes == 6
    assert drive.state.outcome == "unknown"


def test_an_unknown_outcome_that_must_not_repeat_ends_unknown() -> None:
    drive = Drive(a_playbook(), repeat="never")
    drive.intend(drive.to_first_attempt())
    drive.until_interesting()
    assert drive.state.outcome == "unknown"


def test_a_cancelled_run_begins_nothing_more_and_settles_what_is_open() -> None:
    drive = Drive(a_playbook(a_step("drain"), a_step("restart")))
    intent = drive.intend(drive.to_first_attempt())
    drive.write(events.RunCancelled(run_id="run", reason="wrong host"), "local:me")
    assert isinstance(drive.next(), Wait), "the open attempt comes first"
    drive.end(intent, "succeeded")
    drive.until_interesting()
    assert drive.state.outcome == "cancelled"
    assert "local:me" in drive.state.outcome_reason


STOPPED = "stopped by local:me: wrong region"


def test_a_run_that_is_created_while_stopped_ends_at_once() -> None:
    drive = Drive(a_playbook(investigate=(a_step("gpu", "investigate"),)), stopped=STOPPED)
    assert isinstance(drive.until_interesting(), Ended)
    assert [event.KIND for event, _, _ in drive.story] == [
        "run.created@1",
        "run.cancelled@1",
        "run.ended@1",
    ]
    assert (drive.state.outcome, drive.state.outcome_reason) == ("cancelled", STOPPED)


def test_an_approved_run_that_is_stopped_begins_nothing() -> None:
    drive = Drive(a_playbook())
    drive.to_first_attempt()
    drive.stopped = STOPPED
    assert isinstance(drive.until_interesting(), Ended)
    assert (drive.state.outcome, drive.state.began) == ("cancelled", False)


@pytest.mark.parametrize("lifted", [False, True], ids=["stopped still", "resumed meanwhile"])
@pytest.mark.parametrize("known", [False, True], ids=["open", "unknown"])
def test_a_stopped_run_settles_its_attempt_and_is_not_rolled_back_or_taken_up_again(
    known: bool, lifted: bool
) -> None:
    drive = Drive(a_playbook(a_step("restart", rollback=(UNDO,))), repeat="probe")
    intent = drive.intend(drive.to_first_attempt())
    if known:
        drive.end(intent, "unknown")
    drive.stopped = STOPPED
    first = drive.next()
    assert isinstance(first, Record)
    drive.write(first.event)
    if lifted:
        drive.stopped = ""
    assert isinstance(drive.next(), Wait), "what is open comes first"
    probe = drive.until_interesting()
    assert isinstance(probe, Probe)
    drive.probe(probe, "not_done")
    assert isinstance(drive.until_interesting(), Ended)
    assert (drive.state.outcome, drive.state.outcome_reason) == ("cancelled", STOPPED)


def test_a_verification_that_held_is_no_less_true_when_everything_is_stopped() -> None:
    drive = Drive(a_playbook())
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    while drive.state.verified is None:
        command = drive.next()
        if isinstance(command, Read):
            drive.look(command, holds=True)
        elif isinstance(command, Wait):
            drive.now = command.until
        elif isinstance(command, Record):
            drive.write(command.event)
    drive.stopped = STOPPED
    drive.until_interesting()
    assert (drive.state.outcome, drive.state.cancelled_by) == ("succeeded", "")


@pytest.mark.parametrize(
    ("text", "runs"),
    [("steps.drain.outcome == 'succeeded'", True), ("steps.drain.outcome == 'failed'", False)],
)
def test_a_step_whose_if_is_false_is_skipped(text: str, runs: bool) -> None:
    condition = compile_expression(
        text, Scope({"steps.drain.outcome": ValueType.STRING}), ValueType.BOOL
    )
    drive = Drive(a_playbook(a_step("drain"), a_step("restart", condition=condition)))
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    command = drive.until_interesting(holds=True)
    assert isinstance(command, Attempt if runs else Ended)
