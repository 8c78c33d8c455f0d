"""A wrapped action is the action, until a kind of wrapper says otherwise."""

from engine.core.actions import Call, Estate, ProbeAnswer, Repeat
from engine.ports.wrapped_action import WrappedAction
from tests.doubles.scripted import FAILED, MEND, ScriptedAction


async def test_everything_is_asked_of_the_action() -> None:
    action = ScriptedAction(MEND, Repeat.KEYED, probes=[ProbeAnswer.NOT_DONE])
    action.will("restart", FAILED)
    wrapped = WrappedAction(action)
    assert wrapped.declaration is MEND
    inputs = {"what": "restart", "host": "gpu-07"}
    prepared = wrapped.prepare(inputs, Estate({}, {}, {}), None)
    assert (prepared.repeat, prepared.targets) == (Repeat.KEYED, ("gpu-07",))
    call = Call(prepared, "attempt", 1.0)
    assert await wrapped.look(call) == {"started": "1"}
    assert await wrapped.execute(call) is FAILED
    assert await wrapped.probe(call, {}) is ProbeAnswer.NOT_DONE
    assert action.probed == [(call, {})]
    await wrapped.close()
