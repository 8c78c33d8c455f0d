"""What a playbook gives: bounded, and one that has no value takes nothing with it."""

from engine.core.expressions import Scope, ValueType
from engine.core.inventory import Inventory
from engine.core.outputs import given, types_of
from engine.core.scopes import Known
from engine.core.templates import compile_template
from tests.doubles.runs import an_incident

SCOPE = Scope({"params.text": ValueType.STRING, "params.list": ValueType.list_of(ValueType.INT)})
TEXT = compile_template("${{ params.text }}", SCOPE)
LIST = compile_template("${{ params.list }}", SCOPE)


def known(**parameters: object) -> Known:
    return Known(parameters, an_incident(), Inventory())  # type: ignore[arg-type]


def test_each_is_given_with_its_type() -> None:
    found = given({"a": TEXT, "b": LIST, "c": "x"}, known(text="t", list=[1]))
    assert (found.values, found.lacking) == ({"a": "t", "b": [1], "c": "x"}, [])
    assert types_of({"b": LIST, "c": "x"}) == {
        "outputs.b": ValueType.list_of(ValueType.INT),
        "outputs.c": ValueType.FORMATTED,
    }


def test_what_is_too_large_is_cut_or_left_out() -> None:
    found = given({"a": TEXT, "b": LIST}, known(text="t" * 9_000, list=[1] * 9_000))
    assert list(found.values) == ["a"]
    assert "(cut; 9,000 characters)" in str(found.values["a"])
    assert found.lacking == ["output 'b' takes more than 8000 bytes"]


def test_one_without_a_value_says_so() -> None:
    found = given({"a": TEXT, "b": LIST}, known(text="t"))
    assert found.values == {"a": "t"}
    assert found.lacking[0].startswith("no output 'b': ")
