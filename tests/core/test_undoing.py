"""What takes a run back: which of its changes, in which order, and when."""

from datetime import timedelta

import pytest

from engine.core.evaluating import known_to
from engine.core.expressions import Scope, ValueType, compile_expression
from engine.core.inventory import Inventory
from engine.core.planning import PlanError
from engine.core.playbook import Revert
from engine.core.run_commands import Attempt
from engine.core.undoing import not_yet, undo_plan, undoable
from tests.doubles.runs import Drive, a_playbook, a_step, an_incident

DRAIN = a_step("drain", rollback=(a_step("undrain", "rollback"), a_step("check", "rollback")))
STOP = a_step("stop", rollback=(a_step("start", "rollback"),))


def after(*steps: object, ends: tuple[str, ...]) -> Drive:
    """A run whose attempts, rollback too, ended so one after the other."""
    drive = Drive(a_playbook(*steps))  # type: ignore[arg-type]
    command: object = drive.to_first_attempt()
    for end in ends:
        assert isinstance(command, Attempt)
        drive.end(drive.intend(command), end)  # type: ignore[arg-type]
        command = drive.until_interesting(holds=True)
    return drive


def test_what_succeeded_is_taken_back_in_reverse() -> None:
    state = after(DRAIN, STOP, ends=("succeeded", "succeeded")).state
    assert [step.id for step in undoable(state)] == ["start", "undrain", "check"]
    plan = undo_plan(state, "back").plan
    assert (plan.run_id, [step.id for step in plan.of("steps")]) == (
        "back",
        ["start", "undrain", "check"],
    )
    assert {step.phase for step in plan.steps} == {"steps"}


def test_what_the_run_undid_itself_is_not_done_again() -> None:
    state = after(
        DRAIN, STOP, ends=("succeeded", "failed", "succeeded", "succeeded", "failed")
    ).state
    assert [step.id for step in undoable(state)] == ["check"]


def test_where_nothing_can_be_taken_back_there_is_no_plan() -> None:
    state = after(a_step("restart"), ends=("succeeded",)).state
    assert undoable(state) == []
    with pytest.raises(PlanError, match="nothing that could be taken back"):
        undo_plan(state, "back")


@pytest.mark.parametrize(
    ("when", "reason"),
    [("incident.severity == 'P1'", ""), ("incident.severity == 'P4'", "is false")],
)
def test_a_revert_waits_for_what_it_asks_for(when: str, reason: str) -> None:
    scope = Scope({"incident.severity": ValueType.FORMATTED})
    asks = compile_expression(when, scope, ValueType.BOOL)
    known = known_to(Drive(a_playbook()).state, an_incident(), Inventory())
    found = not_yet(Revert(timedelta(hours=2), asks), known)
    assert (found is not None) == bool(reason)
    assert found is None or reason in found.reason
    assert not_yet(Revert(timedelta(hours=2), None), known) is None
