"""Endings: what proves success, what is undone, and what is said."""

from datetime import timedelta

from engine.core.run_commands import (
    Attempt,
    Ended,
)
from tests.doubles.runs import Drive, a_playbook, a_step

UNDO = a_step("undo", "rollback")


def test_a_successful_step_and_a_verification_that_stays_end_it_succeeded() -> None:
    drive = Drive(a_playbook())
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    assert isinstance(drive.until_interesting(holds=True), Ended)
    assert drive.state.outcome == "succeeded"
    looks = drive.state.looks["serves"]
    assert looks[-1].at - looks[0].at >= timedelta(seconds=10), "stable_for was not waited for"


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


def test_a_rollback_that_failed_is_named_though_the_step_s_own_end_is_unknown() -> None:
    drive = Drive(a_playbook(a_step("drain", rollback=(UNDO,)), a_step("restart")))
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    second = drive.until_interesting()
    assert isinstance(second, Attempt)
    drive.end(drive.intend(second), "unknown")
    undo = drive.until_interesting()
    assert isinstance(undo, Attempt)
    assert undo.step.id == "undo"
    drive.end(drive.intend(undo), "failed")
    drive.until_interesting()
    assert drive.state.outcome == "unknown"
    assert drive.state.outcome_reason.endswith("; rollback failed: undo")
