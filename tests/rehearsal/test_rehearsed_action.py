"""What a step's call gives in a rehearsal."""

import pytest

from engine.core.actions import Call, Estate, ProbeAnswer
from engine.core.rehearsal_documents import FakeCall
from engine.errors import OutcomeUnknownError
from engine.rehearsal.rehearsed_action import RehearsedAction
from tests.doubles.scripted import MEND, ScriptedAction

REAL = ScriptedAction(MEND)
PREPARED = REAL.prepare({"host": "gpu-07", "what": "restart"}, Estate({}, {}, {}), None)


def call(step: str) -> Call:
    return Call(PREPARED, "attempt", 5.0, step)


async def test_calls_are_used_up_in_order_and_the_last_repeats() -> None:
    action = RehearsedAction(
        REAL, {"a": [FakeCall(result={"text": "1"}), FakeCall(outcome="failed")], "b": []}
    )
    first = await action.execute(call("a"))
    assert (first.succeeded, first.outputs) == (True, {"ok": False, "text": "1"})
    for _ in range(2):
        later = await action.execute(call("a"))
        assert (later.succeeded, later.error) == (False, "the rehearsal says so")
    assert not REAL.calls


async def test_a_step_that_no_test_speaks_of_succeeds_with_empty_outputs() -> None:
    result = await RehearsedAction(REAL, {}).execute(call("other"))
    assert (result.succeeded, result.outputs) == (True, {"ok": False, "text": ""})


async def test_a_step_of_a_loop_is_named_with_its_item_or_for_all_items() -> None:
    failed = FakeCall(outcome="failed")
    action = RehearsedAction(REAL, {"a[x]": [failed], "a": [FakeCall(), failed]})
    found = [(await action.execute(call(f"a[{item}]"))).succeeded for item in ("x", "y", "z")]
    assert found == [False, True, False]


async def test_an_unknown_outcome_stays_unknown() -> None:
    action = RehearsedAction(REAL, {"a": [FakeCall(outcome="unknown")]})
    with pytest.raises(OutcomeUnknownError):
        await action.execute(call("a"))
    assert await action.probe(call("a"), {}) is ProbeAnswer.CANNOT_TELL
    assert await action.look(call("a")) == {}
    assert action.declaration is MEND
