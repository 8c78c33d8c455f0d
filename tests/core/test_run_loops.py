"""A loop goes on without an item that failed, for as long as it may."""

from dataclasses import replace

import pytest

from engine.core import events
from engine.core.expressions import Scope, ValueType, compile_expression
from engine.core.loops import Loop
from engine.core.run_commands import Attempt
from tests.doubles.runs import Drive, a_playbook, a_step

HOSTS = ("a", "b", "c")


def rolling(stop_after: int, *, serial: int = 1) -> Drive:
    """Two steps for each host, the first with an undoing."""
    loop = Loop("each", list(HOSTS), "host", (serial,), stop_after)
    drain = a_step("drain", rollback=(a_step("undrain", "rollback"),))
    steps = [replace(step, loop=loop) for step in (drain, a_step("restart"))]
    return Drive(a_playbook(*steps, a_step("after")))


def play(drive: Drive, bad: dict[str, events.AttemptOutcome], *, holds: bool = True) -> list[str]:
    """Do all that is asked, `bad` with its outcome; which steps were begun."""
    begun = []
    command = drive.to_first_attempt()
    while isinstance(command, Attempt):
        begun.append(command.step.id)
        drive.end(drive.intend(command), bad.get(command.step.id, "succeeded"))
        command = drive.until_interesting(holds=holds)  # type: ignore[assignment]
    return begun


def test_one_item_that_failed_ends_the_loop_and_all_is_undone_in_reverse() -> None:
    drive = rolling(1)
    begun = play(drive, {"restart[b]": "failed"})
    assert begun == ["drain[a]", "restart[a]", "drain[b]", "restart[b]", "undrain[b]", "undrain[a]"]
    assert drive.state.outcome == "partial"
    assert drive.state.outcome_reason.startswith("step restart[b]: exit code 1")


def test_an_item_that_may_fail_takes_only_its_own_steps_with_it() -> None:
    drive = rolling(2)
    begun = play(drive, {"drain[b]": "failed"})
    assert begun == ["drain[a]", "restart[a]", "drain[b]", "drain[c]", "restart[c]", "after"]
    assert drive.state.step("steps", "restart[b]").error == "drain[b] failed before"
    assert drive.state.outcome == "partial"
    assert drive.state.outcome_reason == (
        "every verification held, but not everything was done: drain[b]: exit code 1"
    )


def test_the_failure_that_is_one_too_many_ends_the_loop_in_the_middle_of_a_batch() -> None:
    drive = rolling(2, serial=3)
    begun = play(drive, {"drain[a]": "failed", "drain[b]": "failed"})
    assert begun[:2] == ["drain[a]", "drain[b]"]
    assert "drain[c]" not in begun
    assert drive.state.outcome_reason.startswith("step drain[b]: exit code 1")


def test_what_nobody_knows_of_an_item_is_nothing_that_anybody_knows_of_the_run() -> None:
    drive = rolling(2)
    play(drive, {"restart[a]": "unknown"})
    assert drive.state.outcome == "unknown"


def test_a_verification_that_fails_undoes_the_items_that_were_lost_too() -> None:
    drive = rolling(2)
    begun = play(drive, {"restart[a]": "failed"}, holds=False)
    assert begun[-3:] == ["undrain[c]", "undrain[b]", "undrain[a]"]
    assert drive.state.outcome in ("failed", "partial")


@pytest.mark.parametrize("stop_after", [1, 3, 9])
def test_no_loop_loses_all_of_its_items_and_goes_on(stop_after: int) -> None:
    drive = rolling(stop_after)
    begun = play(drive, {f"drain[{host}]": "failed" for host in HOSTS})
    assert "after" not in begun
    assert drive.state.outcome == "failed"


def test_a_loop_that_lost_an_item_and_did_nothing_else_has_failed() -> None:
    scope = Scope({"host": ValueType.STRING})
    only_a = compile_expression('host == "a"', scope, ValueType.BOOL)
    loop = Loop("each", list(HOSTS), "host", (1,), 2)
    drive = Drive(a_playbook(replace(a_step("drain", condition=only_a), loop=loop)))
    drive.end(drive.intend(drive.to_first_attempt()), "failed", begun=False)
    drive.until_interesting()
    assert drive.state.outcome == "failed"
    assert drive.state.outcome_reason.startswith("step drain[a]: ")
