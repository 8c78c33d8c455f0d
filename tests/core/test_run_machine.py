"""What a run does next, in tables."""

from dataclasses import replace
from datetime import timedelta

import pytest

from engine.core import events
from engine.core.expressions import Scope, ValueType, compile_expression
from engine.core.guards import Refusal
from engine.core.run_commands import (
    Attempt,
    Command,
    Ended,
    Probe,
    Read,
    Record,
    Wait,
)
from engine.core.run_repeats import has_failed
from engine.core.scopes import condition_scope
from engine.core.severity import Mode
from tests.doubles.runs import START, Drive, a_playbook, a_step, an_incident

UNDO = a_step("undo", "rollback")

STOPPED = "stopped by local:me: wrong region"


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
        "still_firing.asked@1",
        "approval.requested@1",
    ]
    assert isinstance(drive.next(), Wait)
    drive.decide("approved")
    assert isinstance(drive.next(), Attempt)


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


@pytest.mark.parametrize(
    ("condition", "ends", "ran"),
    [
        ("failure()", "failed", ["restart", "clean"]),
        ("failure()", "unknown", ["restart", "clean"]),
        ("failure()", "succeeded", ["restart", "drain"]),
        ("always()", "failed", ["restart", "clean"]),
        ("always()", "succeeded", ["restart", "clean", "drain"]),
        ("!failure()", "failed", ["restart"]),
        ("true", "failed", ["restart"]),
        ('failure() && steps.restart.outcome == "unknown"', "failed", ["restart"]),
        ('failure() && steps.restart.outcome == "unknown"', "unknown", ["restart", "clean"]),
    ],
)
def test_after_a_failure_only_what_asks_for_one_runs(
    condition: str, ends: events.AttemptOutcome, ran: list[str]
) -> None:
    scope = condition_scope(Scope({"steps.restart.outcome": ValueType.FORMATTED}))
    asks = compile_expression(condition, scope, ValueType.BOOL)
    drive = Drive(a_playbook(a_step("restart"), a_step("clean", condition=asks), a_step("drain")))
    command: Command = drive.to_first_attempt()
    begun = []
    while isinstance(command, Attempt):
        begun.append(command.step.id)
        drive.end(drive.intend(command), ends if len(begun) == 1 else "succeeded")
        command = drive.until_interesting(holds=True)
    assert begun == ran
    assert has_failed(drive.state) == (ends != "succeeded")


def test_a_step_that_runs_after_a_failure_is_undone_like_any_other() -> None:
    asks = compile_expression("failure()", condition_scope(Scope()), ValueType.BOOL)
    clean = a_step("clean", condition=asks, rollback=(UNDO,))
    drive = Drive(a_playbook(a_step("restart"), clean))
    drive.end(drive.intend(drive.to_first_attempt()), "failed")
    second = drive.until_interesting()
    assert isinstance(second, Attempt)
    drive.end(drive.intend(second), "failed")
    third = drive.until_interesting()
    assert isinstance(third, Attempt)
    assert third.step.id == "undo"
    drive.end(drive.intend(third), "succeeded")
    drive.until_interesting()
    assert drive.state.outcome_reason.startswith("step restart: "), "the first failure is told"


def test_after_its_deadline_a_run_begins_no_step_and_rolls_back() -> None:
    drive = Drive(a_playbook(a_step("drain", rollback=(UNDO,)), a_step("restart")))
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    drive.now = START + timedelta(hours=1)
    undo = drive.until_interesting()
    assert isinstance(undo, Attempt)
    assert undo.step.id == "undo"
    drive.end(drive.intend(undo), "succeeded")
    drive.until_interesting()
    assert drive.state.outcome == "failed"
    assert drive.state.outcome_reason == "the deadline of 1h passed; rolled back: drain"


def test_what_waits_past_the_deadline_wakes_at_it() -> None:
    drive = Drive(a_playbook(a_step("drain"), a_step("restart", retry_attempts=2)))
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    due = drive.now + timedelta(hours=1)
    second = drive.until_interesting()
    assert isinstance(second, Attempt)
    drive.now = due - timedelta(seconds=1)
    drive.end(drive.intend(second), "failed", begun=False)
    waiting = drive.next()
    assert isinstance(waiting, Wait)
    assert waiting.until == due
    drive.until_interesting()
    assert "deadline" in drive.state.outcome_reason


def test_a_verification_is_not_waited_for_past_the_deadline() -> None:
    drive = Drive(replace(a_playbook(), deadline=timedelta(seconds=30)))
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    drive.until_interesting(holds=False)
    assert drive.state.outcome == "failed"
    assert drive.state.outcome_reason.startswith("the deadline of 30s passed before serves held")
    assert drive.now == START + timedelta(seconds=30)


def test_a_run_that_waits_for_approval_has_not_begun_to_use_its_deadline() -> None:
    drive = Drive(a_playbook())
    assert isinstance(drive.until_interesting(), Record)
    drive.now += timedelta(hours=2)
    drive.decide("approved")
    assert isinstance(drive.until_interesting(), Attempt)


def test_an_attempt_that_surely_never_began_uses_up_nothing_of_the_deadline() -> None:
    drive = Drive(a_playbook(a_step("drain", retry_attempts=2), a_step("restart")))
    drive.end(drive.intend(drive.to_first_attempt()), "failed", begun=False)
    drive.now += timedelta(minutes=59)
    again = drive.until_interesting()
    assert isinstance(again, Attempt)
    drive.end(drive.intend(again), "succeeded")
    drive.now += timedelta(minutes=59)
    assert isinstance(drive.until_interesting(), Attempt)
    assert drive.state.late == ""


def test_what_failed_before_it_began_waits_for_no_guard_with_its_targets_held() -> None:
    drive = Drive(a_playbook(a_step("drain"), a_step("restart")))
    attempt = drive.intend(drive.to_first_attempt())
    drive.refusal = Refusal("blast_radius", "2 of 3 would be unavailable", waits=True)
    failed_at = drive.now
    drive.end(attempt, "failed", begun=False)
    assert isinstance(drive.until_interesting(), Ended)
    assert (drive.state.outcome, drive.now) == ("failed", failed_at)


def test_who_cancels_a_run_that_goes_back_already_does_not_begin_its_on_cancel() -> None:
    steps = (a_step("drain", rollback=(UNDO,)), a_step("restart"))
    drive = Drive(replace(a_playbook(*steps), on_cancel=(a_step("hang_up", "on_cancel"),)))
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    second = drive.until_interesting()
    assert isinstance(second, Attempt)
    drive.end(drive.intend(second), "failed")
    undo = drive.until_interesting()
    assert isinstance(undo, Attempt)
    intent = drive.intend(undo)
    drive.write(events.RunCancelled(run_id="run"), "local:me")
    drive.end(intent, "succeeded")
    assert isinstance(drive.until_interesting(), Ended)
    assert (drive.state.outcome, drive.state.step("on_cancel", "hang_up").outcome) == (
        "cancelled",
        "pending",
    )


def test_a_cancelled_run_begins_nothing_more_and_settles_what_is_open() -> None:
    drive = Drive(a_playbook(a_step("drain"), a_step("restart")))
    intent = drive.intend(drive.to_first_attempt())
    drive.write(events.RunCancelled(run_id="run", reason="wrong host"), "local:me")
    assert isinstance(drive.next(), Wait), "the open attempt comes first"
    drive.end(intent, "succeeded")
    drive.until_interesting()
    assert drive.state.outcome == "cancelled"
    assert "local:me" in drive.state.outcome_reason


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
