"""What a step's call gives in a rehearsal."""

from collections.abc import Mapping, Sequence

import pytest

from engine.core.actions import Call, Estate, ProbeAnswer
from engine.core.rehearsal_documents import FakeCall
from engine.errors import OutcomeUnknownError, TransientError
from engine.rehearsal.rehearsed_action import RehearsedAction
from engine.rehearsal.virtual_clock import VirtualClock
from tests.doubles.scripted import MEND, ScriptedAction

REAL = ScriptedAction(MEND)
PREPARED = REAL.prepare({"host": "gpu-07", "what": "restart"}, Estate({}, {}, {}), None)


def rehearsed(
    fakes: Mapping[str, Sequence[FakeCall]], clock: VirtualClock | None = None
) -> RehearsedAction:
    return RehearsedAction(REAL, fakes, clock or VirtualClock())


def call(step: str) -> Call:
    return Call(PREPARED, "attempt", 5.0, step)


async def test_calls_are_used_up_in_order_and_the_last_repeats() -> None:
    action = rehearsed({"a": [FakeCall(result={"text": "1"}), FakeCall(outcome="failed")], "b": []})
    first = await action.execute(call("a"))
    assert (first.succeeded, first.outputs) == (True, {"ok": False, "text": "1"})
    for _ in range(2):
        later = await action.execute(call("a"))
        assert (later.succeeded, later.error) == (False, "the rehearsal says so")
    assert not REAL.calls


async def test_a_step_that_no_test_speaks_of_succeeds_with_empty_outputs() -> None:
    result = await rehearsed({}).execute(call("other"))
    assert (result.succeeded, result.outputs) == (True, {"ok": False, "text": ""})


async def test_a_step_of_a_loop_is_named_with_its_item_or_for_all_items() -> None:
    failed = FakeCall(outcome="failed")
    action = rehearsed({"a[x]": [failed], "a": [FakeCall(), failed]})
    found = [(await action.execute(call(f"a[{item}]"))).succeeded for item in ("x", "y", "z")]
    assert found == [False, True, False]


async def test_an_unknown_outcome_stays_unknown() -> None:
    action = rehearsed({"a": [FakeCall(outcome="unknown")]})
    with pytest.raises(OutcomeUnknownError):
        await action.execute(call("a"))
    assert await action.probe(call("a"), {}) is ProbeAnswer.CANNOT_TELL
    assert await action.look(call("a")) == {}
    assert action.declaration is MEND


async def test_a_call_that_times_out_takes_all_of_its_time() -> None:
    clock = VirtualClock()
    action = rehearsed({"a": [FakeCall(outcome="timed_out")]}, clock)
    with pytest.raises(OutcomeUnknownError, match="no end within 5 s"):
        await action.execute(call("a"))
    assert clock.monotonic() == 5.0


async def test_a_call_that_could_not_begin_did_nothing() -> None:
    action = rehearsed({"a": [FakeCall(outcome="not_begun"), FakeCall()]})
    with pytest.raises(TransientError):
        await action.execute(call("a"))
    assert (await action.execute(call("a"))).succeeded


async def test_a_probe_finds_what_the_last_call_says() -> None:
    fakes = [
        FakeCall(outcome="unknown", probe="not_done"),
        FakeCall(outcome="timed_out", probe="done"),
    ]
    action = rehearsed({"a": fakes})
    found = []
    for _ in fakes:
        with pytest.raises(OutcomeUnknownError):
            await action.execute(call("a"))
        found.append(await action.probe(call("a"), {}))
    assert found == [ProbeAnswer.NOT_DONE, ProbeAnswer.DONE]
