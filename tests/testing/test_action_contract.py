"""The suite finds what an author got wrong."""

from collections.abc import Mapping

import pytest
from typing_extensions import override

from engine.core.actions import Estate, Prepared
from engine.core.json_value import Json
from engine.testing.action_contract import ActionBench, ActionContract
from tests.doubles.scripted import LOOK, ScriptedAction

INPUTS: Mapping[str, Json] = {"host": "gpu-07", "what": "state"}


class Forgetful(ScriptedAction):
    """Prepares whatever it is given."""

    @override
    def prepare(
        self, inputs: Mapping[str, Json], estate: Estate, connection: str | None
    ) -> Prepared:
        return super().prepare(INPUTS, estate, connection)


def bench() -> ActionBench:
    return ActionBench(Forgetful(LOOK), INPUTS, Estate({}, {}, {}), None, ("gpu-07",))


def test_an_input_that_is_not_checked_fails_it() -> None:
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        ActionContract().test_an_unknown_input_is_named(bench())


def test_a_secret_in_the_plan_fails_it() -> None:
    assert bench().tells_secret(bench().prepare())
    with pytest.raises(AssertionError):
        ActionContract().test_what_is_prepared_stands_in_a_plan(bench())
