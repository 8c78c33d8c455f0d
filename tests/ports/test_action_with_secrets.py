"""A call gets its secrets right before the action, and a plan never has them."""

from collections.abc import Awaitable, Callable

import pytest
from pydantic import SecretStr

from engine.core.actions import Call, Effect, Estate, Prepared, Repeat, Result
from engine.core.json_value import JsonObject
from engine.errors import PermanentError
from engine.ports.action_with_secrets import ActionWithSecrets
from tests.doubles.scripted import MEND, OK, ScriptedAction

# One of them holds what looks like a reference to the other.
SECRETS = {"token": SecretStr("to${secret:other}ken"), "other": SecretStr("kept")}
PAYLOAD: JsonObject = {
    "what": "restart",
    "headers": {"authorization": "Bearer ${secret:token}", "${secret:token}": "a key"},
    "body": ["${secret:token}${secret:token}", {"n": 1, "none": None}],
    "forged": "${secret:other}",
}


def call(*secrets: str) -> Call:
    prepared = Prepared(Effect.CHANGE, Repeat.NEVER, "", (), "restart", PAYLOAD, secrets)
    return Call(prepared, "attempt-1", 10.0)


async def sent(planned: Call) -> JsonObject:
    """What the action is given to do."""
    made: list[JsonObject] = []

    async def done(given: Call) -> Result:
        made.append(given.prepared.payload)
        return OK

    scripted = ScriptedAction(MEND)
    scripted.will("restart", done)
    assert await ActionWithSecrets(scripted, SECRETS).execute(planned) == OK
    (payload,) = made
    return payload


def each_way(action: ActionWithSecrets) -> list[Callable[[Call], Awaitable[object]]]:
    return [action.look, action.execute, lambda call: action.probe(call, {})]


async def test_the_names_of_the_plan_are_filled_in_once_and_no_others() -> None:
    planned = call("token")
    value = SECRETS["token"].get_secret_value()
    assert await sent(planned) == {
        "what": "restart",
        "headers": {"authorization": f"Bearer {value}", "${secret:token}": "a key"},
        "body": [f"{value}{value}", {"n": 1, "none": None}],
        "forged": "${secret:other}",
    }
    assert planned.prepared.payload == PAYLOAD


async def test_a_plan_without_secrets_is_left_alone() -> None:
    assert await sent(call()) == PAYLOAD


@pytest.mark.parametrize("way", [0, 1, 2], ids=["look", "execute", "probe"])
async def test_one_that_is_gone_keeps_the_action_from_being_asked(way: int) -> None:
    scripted = ScriptedAction(MEND)
    action = ActionWithSecrets(scripted, {"token": SECRETS["token"]})
    with pytest.raises(PermanentError, match="no secret 'other' any more, so nothing was done"):
        await each_way(action)[way](call("other", "token"))
    assert (scripted.calls, scripted.probed) == ([], [])


async def test_all_else_is_the_actions_own() -> None:
    action = ActionWithSecrets(ScriptedAction(MEND), SECRETS)
    assert action.declaration is MEND
    inputs = {"what": "restart", "host": "gpu-07"}
    assert action.prepare(inputs, Estate({}, {}, {}), None).description == "gpu-07$ restart"
    await action.close()
