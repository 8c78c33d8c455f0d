"""Steps: attempts and their repeats, and what nobody saw the end of."""

from datetime import timedelta

import pytest

from engine.core import events
from engine.core.expressions import Scope, ValueType, compile_expression
from engine.core.run_commands import (
    Attempt,
    Ended,
    Probe,
    Wait,
)
from tests.doubles.runs import Drive, a_playbook, a_step

UNDO = a_step("undo", "rollback")


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
