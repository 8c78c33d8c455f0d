"""A wait is journaled when it begins and when it is over, and nothing happens in between."""

from datetime import timedelta

from engine.core import events
from engine.core.run_commands import Attempt, Record, Wait
from tests.doubles.runs import Drive, a_playbook, a_step, a_wait

SETTLE_S = 30


def after_restart() -> Drive:
    """Right before a wait between two changes."""
    drive = Drive(a_playbook(a_step("restart"), a_wait("settle", SETTLE_S), a_step("warm")))
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    return drive


def test_a_wait_lasts_from_its_entry_on_whoever_asks_and_however_often() -> None:
    drive = after_restart()
    began = drive.now
    waiting = drive.next()
    assert isinstance(waiting, Record)
    drive.write(waiting.event)
    for second in (0, 1, SETTLE_S - 1):
        drive.now = began + timedelta(seconds=second)
        assert drive.next() == Wait(began + timedelta(seconds=SETTLE_S), "settle: host$ settle")
    drive.now = began + timedelta(seconds=SETTLE_S)
    over = drive.next()
    assert isinstance(over, Record)
    assert isinstance(over.event, events.StepObserved)
    drive.write(over.event)
    following = drive.next()
    assert isinstance(following, Attempt)
    assert following.step.id == "warm"


def test_a_wait_ends_with_its_run() -> None:
    drive = after_restart()
    waiting = drive.next()
    assert isinstance(waiting, Record)
    drive.write(waiting.event)
    drive.write(events.RunCancelled(run_id="run", reason="enough"), "slack:T/U")
    drive.until_interesting()
    assert drive.state.outcome == "cancelled"
