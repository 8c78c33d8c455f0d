import pytest

from engine.core.action_inputs import check_inputs, fits
from engine.core.actions import Declaration, Effect, Input
from engine.core.expressions import ValueType
from engine.core.json_value import Json
from engine.errors import PermanentError

DECLARATION = Declaration(
    name="ssh.run",
    version=1,
    description="Runs a named command.",
    inputs={
        "host": Input(ValueType.STRING, description="the target's id"),
        "limit": Input(ValueType.INT, required=False),
    },
    outputs={},
    effects=frozenset({Effect.CHANGE}),
)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        pytest.param({}, "needs the input 'host': the target's id", id="missing"),
        pytest.param({"hots": "a"}, "no input 'hots', did you mean 'host'", id="misspelt"),
        pytest.param({"host": 7}, "'host' is 7, a value of type string", id="wrong type"),
        pytest.param({"host": "a", "limit": None}, "'limit' is None", id="null"),
    ],
)
def test_a_wrong_input_is_named(inputs: dict[str, Json], message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        check_inputs(DECLARATION, inputs)


def test_an_optional_input_may_be_absent() -> None:
    check_inputs(DECLARATION, {"host": "a"})
    check_inputs(DECLARATION, {"host": "a", "limit": 3})


PAIR = ValueType.object_of({"labels": ValueType.map_of(ValueType.STRING), "value": ValueType.DYN})


@pytest.mark.parametrize(
    ("declared", "good", "bad"),
    [
        pytest.param(ValueType.STRING, "a", 1, id="string"),
        pytest.param(ValueType.INT, 1, True, id="int isn't bool"),
        pytest.param(ValueType.INT, 1, 1.0, id="int isn't double"),
        pytest.param(ValueType.DOUBLE, 1, True, id="int passes for double"),
        pytest.param(ValueType.BOOL, False, 0, id="bool"),
        pytest.param(ValueType.list_of(ValueType.INT), [1], "ab", id="list isn't text"),
        pytest.param(ValueType.list_of(ValueType.INT), [], [""], id="list's elements"),
        pytest.param(ValueType.map_of(ValueType.STRING), {"a": "b"}, {"a": 1}, id="map's values"),
        pytest.param(PAIR, {"labels": {}, "value": None}, {"value": 1}, id="object's fields"),
        pytest.param(ValueType.TIMESTAMP, "2026-11-23T00:00:00Z", 1, id="timestamp is text"),
    ],
)
def test_a_value_fits_its_declared_type(declared: ValueType, good: Json, bad: Json) -> None:
    assert fits(declared, good)
    assert not fits(declared, bad)
    assert fits(ValueType.DYN, bad)
