"""A step that looks until it holds, in the middle of a plan."""

from dataclasses import replace
from datetime import timedelta

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
