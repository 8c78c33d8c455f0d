"""What an action gives is masked before anybody decides on it."""

from dataclasses import replace

import pytest

from engine.core.actions import Call, Effect, Estate, Prepared, ProbeAnswer, Repeat, Result
from engine.errors import PermanentError
from engine.ports.known_secrets import KNOWN
from engine.ports.masked_action import MaskedAction
from tests.doubles.scripted import MEND, OK, ScriptedAction

SECRET = "tok-en-1234"
PREPARED = Prepared(Effect.CHANGE, Repeat.PROBE, "", ("gpu-07",), "restart", {"what": "restart"})
CALL = Call(PREPARED, "attempt", 10.0)


@pytest.fixture
def scripted() -> ScriptedAction:
    KNOWN.keep("token", SECRET)
    return ScriptedAction(MEND)


async def test_a_result_holds_no_secret(scripted: ScriptedAction) -> None:
    scripted.will(
        "restart",
        Result(
            succeeded=False,
            outputs={"text": SECRET, "ok": False, "rows": [{"a": SECRET, "n": 1}]},
            evidence=f"a {SECRET}",
            error=f"b {SECRET}",
        ),
    )
    assert await MaskedAction(scripted).execute(CALL) == Result(
        succeeded=False,
        outputs={"text": "[masked]", "ok": False, "rows": [{"a": "[masked]", "n": 1}]},
        evidence="a [masked]",
        error="b [masked]",
    )


async def test_a_long_result_is_masked_too(scripted: ScriptedAction) -> None:
    long = "a line of a log\n" * 4096
    scripted.will("restart", Result(succeeded=True, outputs={"text": f"{long}{SECRET}"}))
    result = await MaskedAction(scripted).execute(CALL)
    assert result.outputs == {"text": f"{long}[masked]"}


async def test_a_state_that_would_be_altered_is_refused(scripted: ScriptedAction) -> None:
    scripted.looks = [{"rows": [{"deep": f"by {SECRET}"}]}]
    with pytest.raises(PermanentError, match="holds the secret token"):
        await MaskedAction(scripted).look(CALL)
    scripted.looks = [{"started": "1"}]
    assert await MaskedAction(scripted).look(CALL) == {"started": "1"}


async def test_all_else_is_the_actions_own(scripted: ScriptedAction) -> None:
    action = MaskedAction(scripted)
    assert action.declaration is MEND
    inputs = {"what": "restart", "host": "gpu-07"}
    assert action.prepare(inputs, Estate({}, {}, {}), None).description == "gpu-07$ restart"
    assert await action.probe(CALL, {"a": 1}) is ProbeAnswer.DONE
    assert scripted.probed == [(CALL, {"a": 1})]
    assert await action.execute(replace(CALL, attempt_id="2")) == OK
    await action.close()
