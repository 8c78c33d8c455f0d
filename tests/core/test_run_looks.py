"""A step that looks until it holds, in the middle of a plan."""

from dataclasses import replace
from datetime import timedelta

import pytest

from engine.core import events
from engine.core.run_commands import Attempt, Read
from tests.doubles.runs import Drive, a_playbook, a_step


def drive_to_look() -> tuple[Drive, Read]:
    """Right before a step, between two changes, that waits until it holds for 10 s."""
    looks = replace(a_step("settled", "verify"), phase="steps")
    drive = Drive(a_playbook(a_step("restart"), looks, a_step("after")))
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    command = drive.next()
    assert isinstance(command, Read)
    return drive, command


def look_for(drive: Drive, seconds: float, *, holds: bool) -> None:
    end = drive.now + timedelta(seconds=seconds)
    while drive.now < end and not isinstance(command := drive.next(), Attempt):
        if isinstance(command, Read):
            drive.look(command, holds=holds)
        else:
            drive.obey_quietly(command)


def test_what_follows_begins_once_it_held_for_long_enough() -> None:
    drive, first = drive_to_look()
    drive.look(first, holds=True)
    began = drive.now
    assert not isinstance(drive.next(), Attempt)
    look_for(drive, 60, holds=True)
    command = drive.next()
    assert isinstance(command, Attempt)
    assert command.step.id == "after"
    assert drive.now == began + timedelta(seconds=10)


def test_what_never_holds_fails_after_its_time() -> None:
    drive, _ = drive_to_look()
    began = drive.now
    drive.until_interesting()
    assert drive.state.outcome == "partial"
    assert drive.state.outcome_reason.startswith("step settled: ")
    assert timedelta(seconds=60) <= drive.now - began <= timedelta(seconds=80)


@pytest.mark.parametrize("holds", [True, False])
def test_a_look_on_the_way_back_waits_before_what_is_undone_next(holds: bool) -> None:
    look = replace(a_step("gone", "verify"), phase="rollback")
    first = a_step("drain", rollback=(a_step("undrain", "rollback"),))
    second = a_step("restart", rollback=(look,))
    drive = Drive(a_playbook(first, second, a_step("last")))
    outcomes: tuple[events.AttemptOutcome, ...] = ("succeeded", "succeeded", "failed")
    for outcome in outcomes:
        command = drive.next() if drive.state.began else drive.to_first_attempt()
        assert isinstance(command, Attempt)
        drive.end(drive.intend(command), outcome)
    began = drive.now
    look_for(drive, 120, holds=holds)
    command = drive.next()
    assert isinstance(command, Attempt)
    assert (command.step.id, (drive.now - began).total_seconds()) == (
        "undrain",
        10 if holds else 70,
    )
    drive.end(drive.intend(command), "succeeded")
    drive.until_interesting()
    words = "rolled back: restart, drain" if holds else "rollback failed: gone"
    assert words in drive.state.outcome_reason
