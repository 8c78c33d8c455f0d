"""Endings: what proves success, what is undone, and what is said."""

from dataclasses import replace
from datetime import timedelta

import pytest

from engine.core import events
from engine.core.playbook import Step
from engine.core.run_commands import (
    Attempt,
    Ended,
    Read,
    Wait,
)
from tests.doubles.runs import RUN, Drive, Repeat, a_playbook, a_step

UNDO = a_step("undo", "rollback")
SECOND_HOLDS_AT = timedelta(seconds=100)


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


def test_the_time_of_each_verification_begins_when_the_one_before_it_held() -> None:
    checks = (a_step("rolled_out", "verify"), a_step("serves", "verify"))
    drive = Drive(replace(a_playbook(), verify=checks))
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    began = drive.now
    # Both may take 60 s: the first takes nearly all of it, and the second begins behind it.
    holds_from = {"rolled_out": began + timedelta(seconds=50), "serves": began + SECOND_HOLDS_AT}
    while not isinstance(command := drive.next(), Ended):
        holds = isinstance(command, Read) and drive.now >= holds_from[command.step.id]
        drive.obey_quietly(command, holds=holds)
    assert drive.state.outcome == "succeeded"
    first, second = (drive.state.looks[each.id] for each in checks)
    assert second[0].at >= first[-1].at


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


def ended(drive: Drive) -> events.RunEnded:
    drive.until_interesting()
    event = drive.story[-1][0]
    assert isinstance(event, events.RunEnded)
    return event


def to_second(*steps: Step, end: events.AttemptOutcome = "succeeded") -> tuple[Drive, Attempt]:
    """A run whose first step succeeded and whose second one ended so."""
    drive = Drive(replace(a_playbook(*steps), on_cancel=(a_step("hang_up", "on_cancel"),)))
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    second = drive.until_interesting()
    assert isinstance(second, Attempt)
    drive.end(drive.intend(second), end)
    follows = drive.until_interesting()
    assert isinstance(follows, Attempt)
    return drive, follows


def test_what_was_undone_and_what_stays_is_told_apart_in_the_end() -> None:
    drain, restart = a_step("drain", rollback=(UNDO,)), a_step("restart")
    drive, undo = to_second(restart, drain, end="failed")
    drive.end(drive.intend(undo), "succeeded")
    end = ended(drive)
    assert (end.outcome, end.rollback, end.left) == ("partial", "partial", ("restart",))
    assert end.reason.endswith("; rolled back: drain; what stays as it is: restart")


def test_a_rollback_of_everything_is_done() -> None:
    drive, undo = to_second(a_step("drain", rollback=(UNDO,)), a_step("restart"), end="failed")
    drive.end(drive.intend(undo), "succeeded")
    end = ended(drive)
    assert (end.rollback, end.left) == ("partial", ("restart",)), "its effect may stay"
    drive = Drive(a_playbook(a_step("restart", rollback=(UNDO,))))
    drive.end(drive.intend(drive.to_first_attempt()), "failed")
    undo_own = drive.until_interesting()
    assert isinstance(undo_own, Attempt), "a step that failed has its own rollback"
    drive.end(drive.intend(undo_own), "succeeded")
    end = ended(drive)
    assert (end.outcome, end.rollback, end.left) == ("failed", "done", ())


def test_without_any_rollback_none_is_done_and_a_success_needs_none() -> None:
    drive = Drive(a_playbook())
    drive.end(drive.intend(drive.to_first_attempt()), "failed")
    end = ended(drive)
    assert (end.rollback, end.left) == ("none", ("restart",))
    drive = Drive(a_playbook())
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    drive.until_interesting(holds=True)
    assert (drive.story[-1][0].rollback, drive.story[-1][0].left) == ("", ())  # type: ignore[attr-defined]


def test_a_person_s_cancel_is_followed_by_on_cancel_and_the_rollback() -> None:
    drive = Drive(
        replace(
            a_playbook(a_step("drain", rollback=(UNDO,)), a_step("restart")),
            on_cancel=(a_step("hang_up", "on_cancel"),),
        )
    )
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    drive.write(events.RunCancelled(run_id=RUN, reason="wrong host"), "local:me")
    for wanted in ("hang_up", "undo"):
        command = drive.until_interesting()
        assert isinstance(command, Attempt)
        assert command.step.id == wanted
        drive.end(drive.intend(command), "succeeded")
    end = ended(drive)
    assert (end.outcome, end.rollback, end.keeps_locks) == ("cancelled", "done", False)
    assert end.reason == "cancelled by local:me: wrong host; rolled back: drain"


@pytest.mark.parametrize("cancelled", [True, False], ids=["after a cancel", "after a failure"])
@pytest.mark.parametrize("repeat", ["never", "harmless"])
def test_nothing_is_undone_beside_what_may_still_be_under_way(
    repeat: Repeat, cancelled: bool
) -> None:
    """A step that nobody can look at is waited out, on the host it may go on without quell."""
    undoing = (a_step("drain", rollback=(UNDO,)), a_step("restart"))
    drive = Drive(a_playbook(*undoing), repeat=repeat)
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    restart = drive.until_interesting()
    assert isinstance(restart, Attempt)
    intent = drive.intend(restart)
    if cancelled:
        drive.write(events.RunCancelled(run_id=RUN, reason="wrong host"), "local:me")
    drive.end(intent, "unknown")
    waiting = drive.next()
    assert isinstance(waiting, Wait)
    assert waiting.until == events.moment(intent.not_after) + timedelta(seconds=5)
    drive.now = waiting.until
    then = drive.until_interesting()
    assert isinstance(then, Attempt)
    goes_on = "restart" if repeat == "harmless" and not cancelled else "undo"
    assert then.step.id == goes_on


def test_what_fails_after_a_cancel_is_told_and_keeps_nothing_from_being_undone() -> None:
    drive = Drive(
        replace(
            a_playbook(a_step("drain", rollback=(UNDO,))),
            on_cancel=(a_step("hang_up", "on_cancel"),),
        )
    )
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    drive.write(events.RunCancelled(run_id=RUN, reason="wrong host"), "local:me")
    for _ in range(2):
        command = drive.until_interesting()
        assert isinstance(command, Attempt)
        drive.end(drive.intend(command), "failed")
    end = ended(drive)
    assert (end.outcome, end.rollback, end.left) == ("cancelled", "none", ("drain",))
    assert end.reason.endswith("on_cancel failed: hang_up; rollback failed: undo")


def test_a_cancel_before_anything_was_done_has_nothing_to_undo() -> None:
    drive = Drive(
        replace(a_playbook(), on_cancel=(a_step("hang_up", "on_cancel"),)),
    )
    drive.until_interesting()
    drive.write(events.RunCancelled(run_id=RUN, reason="wrong host"), "local:me")
    end = ended(drive)
    assert (end.outcome, end.changed, end.rollback) == ("cancelled", False, "")


def test_a_stop_ends_a_rollback_that_is_under_way() -> None:
    drive, undo = to_second(a_step("drain", rollback=(UNDO,)), a_step("restart"), end="failed")
    drive.intend(undo)
    drive.stopped = "stopped by local:me: wrong region"
    end = ended(drive)
    assert (end.outcome, end.rollback, end.keeps_locks) == ("cancelled", "none", True)
    assert end.left == ("drain", "restart")


def test_a_stop_ends_what_follows_a_cancel() -> None:
    drive, _ = to_second(a_step("drain", rollback=(UNDO,)), a_step("restart"), end="failed")
    drive.write(events.RunCancelled(run_id=RUN, reason="wrong host"), "local:me")
    drive.stopped = "stopped by local:me: wrong region"
    end = ended(drive)
    assert (end.outcome, end.keeps_locks) == ("cancelled", True)
    assert end.reason.startswith("stopped by local:me")
