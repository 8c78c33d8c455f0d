"""Expressions of narrow scopes are compiled with what they mention, and mean what they meant."""

import pytest

from engine.core.expression_mentions import narrowed
from engine.core.expression_tokens import read_tokens
from engine.core.expressions import (
    ExpressionError,
    ExpressionFailedError,
    FunctionType,
    Scope,
    ValueType,
    compile_expression,
)

NAMES = {
    "params.host": ValueType.FORMATTED,
    "params.count": ValueType.INT,
    "params.share": ValueType.DOUBLE,
    "result.ok": ValueType.BOOL,
    "result.values": ValueType.list_of(ValueType.object_of({"value": ValueType.DYN})),
    "steps.gpu.outcome": ValueType.FORMATTED,
    "incident.opened_at": ValueType.TIMESTAMP,
}
FUNCTIONS = {"target": FunctionType((ValueType.STRING,), ValueType.object_of({}))}
NARROW, WIDE = Scope(NAMES, FUNCTIONS, narrow=True), Scope(NAMES, FUNCTIONS)
OTHER = Scope({**NAMES, "params.other": ValueType.STRING}, FUNCTIONS, narrow=True)


def mentioned(text: str, scope: Scope = NARROW) -> set[str] | None:
    found = narrowed(read_tokens(text), scope)
    return None if found is None else {*found.names, *found.functions}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("params.host", {"params.host"}),
        ("result.ok && params.count > 1", {"result.ok", "params.count"}),
        ("target(params.host).service", {"target", "params.host"}),
        ("params.host.contains('params.count')", {"params.host"}),
        ("result.values.all(v, v.value > params.share)", {"result.values", "params.share"}),
        ("has(result.values)", {"result.values"}),
        ("1 + 2", set()),
        ("params.hots", None),
        ("params", set()),
        ("unknown.name", set()),
    ],
)
def test_what_is_mentioned(text: str, names: set[str] | None) -> None:
    assert mentioned(text) == names


def test_equal_expressions_of_different_scopes_are_one() -> None:
    text = "params.count + 1 > 2"
    assert compile_expression(text, NARROW) is compile_expression(text, OTHER)
    assert compile_expression(text, WIDE) is not compile_expression(text, NARROW)


VALID = [
    "params.host",
    "params.count",
    "params.share",
    "result.ok",
    "result.ok ? params.host : 'x'",
    "result.values.exists(v, v.value > 1)",
    "double(params.count) * params.share",
    "incident.opened_at",
    "steps.gpu.outcome == 'succeeded'",
]
INVALID = [
    "params.hots",
    "params",
    "unknown.name",
    "parms.host",
    "result.ok.x",
    "params.host > 1",
    "target(1)",
    "target",
    "nothing()",
    "params.host &&",
]
VALUES = {
    "params.host": "gpu-07",
    "params.count": 3,
    "params.share": 2,
    "result.ok": True,
    "result.values": [{"value": 2.0}],
    "steps.gpu.outcome": "succeeded",
}


@pytest.mark.parametrize("text", VALID)
def test_type_and_value_are_those_of_the_whole_scope(text: str) -> None:
    narrow, wide = compile_expression(text, NARROW), compile_expression(text, WIDE)
    assert narrow.type == wide.type

    def outcome(of: object) -> object:
        try:
            found = of.evaluate(VALUES)  # type: ignore[attr-defined]
        except ExpressionFailedError as error:
            return str(error)
        return (type(found), found)

    assert outcome(narrow) == outcome(wide)


@pytest.mark.parametrize("text", INVALID)
def test_a_mistake_is_told_as_with_the_whole_scope(text: str) -> None:
    told = []
    for scope in (NARROW, WIDE):
        with pytest.raises(ExpressionError) as caught:
            compile_expression(text, scope)
        told.append((caught.value.message, caught.value.column))
    assert told[0] == told[1]


@pytest.mark.parametrize("expects", [ValueType.BOOL, ValueType.STRING, ValueType.DOUBLE])
@pytest.mark.parametrize("name", ["params.host", "params.count", "params.share", "result.ok"])
def test_a_lone_name_fits_where_it_did(name: str, expects: ValueType) -> None:
    def told(scope: Scope) -> str:
        try:
            return str(compile_expression(name, scope, expects).evaluate(VALUES))
        except ExpressionError as error:
            return str(error)

    assert told(NARROW) == told(WIDE)


def test_a_name_without_a_value_fails_in_the_same_words() -> None:
    told = []
    for scope in (NARROW, WIDE):
        with pytest.raises(ExpressionFailedError) as caught:
            compile_expression("params.host", scope).evaluate({})
        told.append(str(caught.value))
    assert told[0] == told[1]
