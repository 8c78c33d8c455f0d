"""A step that is to be tried again hasn't failed yet."""

from dataclasses import replace
from datetime import timedelta

import pytest

from engine.core.run import RunState, StepState
from engine.core.run_commands import Read, Wait
from engine.core.run_repeats import MAX_EXCUSED, has_failed, may_repeat
from tests.doubles.runs import Drive, Repeat, a_playbook, a_step, planned

NEVER_BEGAN = StepState(outcome="failed", attempts=1, repeatable=True)
UNKNOWN = StepState(outcome="unknown", attempts=1, excused=1)


@pytest.mark.parametrize(
    ("known", "attempts", "repeat", "repeats"),
    [
        pytest.param(NEVER_BEGAN, 2, "never", True, id="never began"),
        pytest.param(NEVER_BEGAN, 1, "never", False, id="no retry is left"),
        pytest.param(replace(NEVER_BEGAN, repeatable=False), 2, "never", False, id="it began"),
        pytest.param(UNKNOWN, 1, "harmless", True, id="unknown and harmless"),
        pytest.param(UNKNOWN, 1, "keyed", True, id="unknown and keyed"),
        pytest.param(UNKNOWN, 1, "never", False, id="unknown"),
        pytest.param(
            StepState(outcome="unknown", attempts=3, excused=3),
            1,
            "harmless",
            False,
            id="too often",
        ),
    ],
)
def test_what_is_safe_is_tried_again_as_often_as_it_may(
    known: StepState, attempts: int, repeat: Repeat, repeats: bool
) -> None:
    step = planned(a_step("restart", retry_attempts=attempts), repeat=repeat)
    assert may_repeat(step, known) == repeats
    assert MAX_EXCUSED == 2


def run_with(known: StepState, **more: object) -> RunState:
    drive = Drive(a_playbook(a_step("restart", retry_attempts=2)))
    drive.to_first_attempt()
    changed = {"steps": {("steps", "restart"): known}, **more}
    return replace(drive.state, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "failed"),
    [
        pytest.param(run_with(StepState(outcome="failed", attempts=1)), True, id="it began"),
        pytest.param(run_with(NEVER_BEGAN), False, id="it is tried again"),
        pytest.param(run_with(NEVER_BEGAN, cancelled_by="local:me"), True, id="it was to be"),
        pytest.param(run_with(StepState(outcome="succeeded"), late="late"), True, id="too late"),
        pytest.param(run_with(StepState(outcome="open", attempts=1)), False, id="under way"),
    ],
)
def test_what_is_tried_again_has_not_failed(state: RunState, failed: bool) -> None:
    assert has_failed(state) == failed


def test_what_looks_again_has_not_failed_until_its_time_is_over() -> None:
    looks = replace(a_step("settled", "verify"), phase="steps")
    drive = Drive(a_playbook(a_step("restart"), looks))
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    command = drive.next()
    assert isinstance(command, Read)
    began, failed = drive.now, {}
    while drive.now - began < timedelta(seconds=80):
        if isinstance(command, Read):
            drive.look(command, holds=False)
            failed[(drive.now - began).total_seconds()] = has_failed(drive.state)
        elif isinstance(command, Wait):
            drive.obey_quietly(command)
        else:
            break
        command = drive.next()
    # Within 60 s, stable for 10 s, a look every 5 s: that of second 65 is the last.
    assert failed == {float(second): second == 65 for second in range(0, 70, 5)}
