"""Conditions over what a run's journal says."""

from engine.core.evaluating import holds_if, holds_until, known_to
from engine.core.expressions import Scope, ValueType, compile_expression
from engine.core.inventory import Inventory
from engine.core.run_commands import Attempt
from tests.doubles.runs import Drive, a_playbook, a_step, an_incident

SCOPE = Scope(
    {
        "steps.drain.outcome": ValueType.STRING,
        "steps.undo.outcome": ValueType.STRING,
        "incident.service": ValueType.STRING,
        "result.ok": ValueType.BOOL,
    }
)


def test_a_condition_sees_the_outcomes_of_earlier_steps_and_the_incident() -> None:
    drive = Drive(a_playbook(a_step("drain"), a_step("restart")))
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    known = known_to(drive.state, an_incident(), Inventory())
    text = "steps.drain.outcome == 'succeeded' && incident.service == 'llm'"
    assert holds_if(compile_expression(text, SCOPE, ValueType.BOOL), known).holds


def test_a_condition_in_a_rollback_sees_how_the_undoing_before_it_ended() -> None:
    undo = a_step("undo", "rollback")
    drive = Drive(a_playbook(a_step("drain", rollback=(undo,))))
    drive.end(drive.intend(drive.to_first_attempt()), "failed")
    command = drive.until_interesting()
    assert isinstance(command, Attempt)
    drive.end(drive.intend(command), "succeeded")
    known = known_to(drive.state, an_incident(), Inventory())
    text = "steps.drain.outcome == 'failed' && steps.undo.outcome == 'succeeded'"
    assert holds_if(compile_expression(text, SCOPE, ValueType.BOOL), known).holds


def test_what_fails_to_evaluate_does_not_hold_and_says_why() -> None:
    known = known_to(Drive(a_playbook()).state, an_incident(), Inventory())
    condition = compile_expression("steps.drain.outcome == 'x'", SCOPE, ValueType.BOOL)
    answer = holds_if(condition, known)
    assert not answer.holds
    assert "steps.drain.outcome" in answer.reason


def test_until_looks_at_the_result_and_a_missing_one_is_not_yet() -> None:
    known = known_to(Drive(a_playbook()).state, an_incident(), Inventory())
    until = compile_expression("result.ok", SCOPE, ValueType.BOOL)
    assert holds_until(until, known, {"ok": True}).holds
    assert not holds_until(until, known, {"ok": False}).holds
    assert not holds_until(until, known, {}).holds
