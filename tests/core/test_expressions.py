"""Expressions are checked when loaded, see "" for absent labels, and fail without harm."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.core.expressions import (
    Bindings,
    Expression,
    ExpressionError,
    ExpressionFailedError,
    FunctionType,
    Scope,
    ValueType,
    compile_expression,
)
from engine.errors import NotFoundError

ALERT = ValueType.object_of(
    {
        "name": ValueType.STRING,
        "labels": ValueType.LABELS,
        "annotations": ValueType.LABELS,
        "links": ValueType.list_of(ValueType.STRING),
        "starts_at": ValueType.TIMESTAMP,
    }
)
SCOPE = (
    Scope()
    .with_("alert", ALERT)
    .with_("alerts", ValueType.list_of(ALERT))
    .with_("params", ValueType.object_of({"host": ValueType.STRING, "count": ValueType.INT}))
    .with_(
        "result",
        ValueType.object_of(
            {"ok": ValueType.BOOL, "latency_s": ValueType.DOUBLE, "body": ValueType.DYN}
        ),
    )
    .with_function("target", FunctionType((ValueType.STRING,), ValueType.object_of({})))
    .with_function("failure", FunctionType((), ValueType.BOOL))
)
VALUES: Mapping[str, object] = {
    "alert": {
        "name": "HostDown",
        "labels": {"tier": "prod"},
        "annotations": {},
        "links": ("https://a.example", "https://b.example"),
        "starts_at": datetime(2026, 1, 31, 12, tzinfo=UTC),
    },
    "alerts": [
        {"name": "HostDown", "labels": {"rack": "r1"}, "annotations": {}},
        {"name": "DiskFull", "labels": {}, "annotations": {}},
    ],
    "params.host": "gpu-07",
    "params.count": 3,
    "result": {"ok": True, "latency_s": 3, "body": {"items": [1, 2.5, None, "x"]}},
}


def value_of(text: str, values: Mapping[str, object] | Bindings = VALUES) -> object:
    return compile_expression(text, SCOPE).evaluate(values)


RESULTS = {
    "text": ("alert.name", "HostDown"),
    "a tuple is a list": ("alert.links", ["https://a.example", "https://b.example"]),
    "timestamp": ("alert.starts_at", datetime(2026, 1, 31, 12, tzinfo=UTC)),
    "span": ('alert.starts_at - timestamp("2026-01-31T11:00:00Z")', timedelta(hours=1)),
    "an int where a double is declared": ("result.latency_s / 2.0", 1.5),
    "deep inside of dyn": ("result.body.items", [1, 2.5, None, "x"]),
    "null": ("result.body.items[2] == null", True),
    "a map": ('{"host": params.host}', {"host": "gpu-07"}),
    "label": ("alert.labels.tier", "prod"),
    "label that is absent": ("alert.labels.zone", ""),
    "annotation that is absent": ("alert.annotations.summary", ""),
    "absent label in a loop": ('alerts.exists(a, a.labels.rack == "")', True),
    "present label in a loop": ('alerts.exists(a, a.labels.rack == "r1")', True),
    "labels through a filter": ('alerts.filter(a, a.name == "DiskFull")[0].labels.rack', ""),
    "a label named like a word of other languages": ("alert.labels.namespace", ""),
    "all labels, without those that are absent": ("alert.labels", {"tier": "prod"}),
    "an error that doesn't matter": ("result.body.none == 1 || result.ok", True),
}


@pytest.mark.parametrize(("text", "expected"), RESULTS.values(), ids=RESULTS)
def test_an_expression_gives_plain_values(text: str, expected: object) -> None:
    assert value_of(text) == expected


FAILING = {
    "missing key": ("result.body.none", 'there is no key "none"'),
    "division by zero": ("params.count / 0", "divide by zero"),
    "overflow": ("params.count + 9223372036854775807", "integer overflow"),
    "index": ("result.body.items[9]", "Index error: index=9 size=4"),
    "types that only the run can tell": ('result.body.items[0] < "a"', "no way to apply"),
    "function that isn't bound": ("failure()", "no way to apply failure"),
    "too much to go through": (
        "DIGITS.all(a, DIGITS.all(b, DIGITS.all(c, DIGITS.all(d, DIGITS.all(e, true)))))".replace(
            "DIGITS", "[0,1,2,3,4,5,6,7,8,9]"
        ),
        "it goes through too many elements",
    ),
}


@pytest.mark.parametrize(("text", "reason"), FAILING.values(), ids=FAILING)
def test_a_failure_says_what_failed_and_why(text: str, reason: str) -> None:
    with pytest.raises(ExpressionFailedError) as caught:
        value_of(text)
    assert str(caught.value).startswith(f"{text!r} failed: ")
    assert reason in str(caught.value)


def test_a_name_without_a_value_fails() -> None:
    with pytest.raises(ExpressionFailedError, match=r"'params\.host' has no value here"):
        value_of("params.host", {})
    with pytest.raises(ExpressionFailedError, match=r"'params\.host' has no value here"):
        value_of("params.host", {"params": {"host": None}})


def test_half_a_surrogate_pair_in_a_value_fails_without_a_crash() -> None:
    with pytest.raises(ExpressionFailedError):
        value_of("params.host + 'a'", {"params.host": "\ud800"})


NULLS: dict[str, Any] = {"x": None, "l": [None, {"y": None}], "m": {"n": None, "o": [1, None]}}


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "body",
        "body.x",
        "body.l",
        "body.m.o",
        "body.l.map(x, x)",
        "{'a': null, 'b': [null]}",
    ],
)
def test_nulls_leave_none_its_references(text: str) -> None:
    """Before Python 3.12 the process ends when none is left."""
    expression = compile_expression(text, Scope({"body": ValueType.DYN}))
    expression.evaluate({"body": NULLS})
    before = sys.getrefcount(None)
    for _ in range(2_000):
        expression.evaluate({"body": NULLS})
    assert abs(sys.getrefcount(None) - before) < 1_000


def test_nulls_come_out_as_they_went_in() -> None:
    expression = compile_expression("body", Scope({"body": ValueType.DYN}))
    assert expression.evaluate({"body": NULLS}) == NULLS


def test_names_the_labels_that_it_needs() -> None:
    expression = compile_expression('alert.labels.a == alert.annotations["b"]', SCOPE)
    assert expression.labels == {"a", "b"}


def test_an_expression_never_sees_a_label_that_another_one_named() -> None:
    bindings = Bindings(VALUES)
    assert value_of("alert.labels.zone", bindings) == ""
    assert value_of("alert.labels.size()", bindings) == 1


def test_bindings_serve_several_scopes() -> None:
    bindings = Bindings(VALUES)
    other = Scope().with_("params", ValueType.object_of({"host": ValueType.STRING}))
    assert compile_expression("params.host", other).evaluate(bindings) == "gpu-07"
    assert value_of("params.host", bindings) == "gpu-07"


def test_functions_are_bound_for_a_run() -> None:
    estate = {"gpu-07": {"service": "llm-70b"}}
    bindings = Bindings(VALUES, {"target": estate.__getitem__, "failure": lambda: True})
    assert value_of("failure() && target(params.host).service == 'llm-70b'", bindings) is True


def test_a_function_that_raises_makes_the_expression_fail() -> None:
    def target(target_id: str) -> object:
        raise NotFoundError(f"no target {target_id!r}")

    with pytest.raises(ExpressionFailedError, match="no target 'gpu-07'"):
        value_of("target(params.host)", Bindings(VALUES, {"target": target}))


EXPECTED = {
    "bool": ("result.ok", ValueType.BOOL, True),
    "int for a double": ("params.count", ValueType.DOUBLE, 3.0),
    "dyn that fits": ("result.body.items[3]", ValueType.STRING, "x"),
    "object": ("result.body", ValueType.object_of({}), {"items": [1, 2.5, None, "x"]}),
    "list": (
        "alert.links",
        ValueType.list_of(ValueType.STRING),
        ["https://a.example", "https://b.example"],
    ),
    "anything": ("result.body.items[2]", ValueType.DYN, None),
}


@pytest.mark.parametrize(
    ("text", "expects", "expected"),
    EXPECTED.values(),
    ids=EXPECTED,
)
def test_a_value_of_the_expected_type_passes(
    text: str, expects: ValueType, expected: object
) -> None:
    found = compile_expression(text, SCOPE, expects).evaluate(VALUES)
    assert found == expected
    assert type(found) is type(expected)


MISFITS = {
    "text for bool": ("alert.name", ValueType.BOOL, "this gives string, and bool is needed here"),
    "list of texts for ints": (
        "alert.links",
        ValueType.list_of(ValueType.INT),
        "this gives list(string), and list(int) is needed here",
    ),
    "bytes": ("b'a'", None, "this gives bytes, a type or an unsigned number; none is a value"),
    "type": ("type(1)", ValueType.STRING, "this gives a type that no place takes, and string is"),
}


@pytest.mark.parametrize(("text", "expects", "message"), MISFITS.values(), ids=MISFITS)
def test_another_type_is_refused_when_it_is_loaded(
    text: str, expects: ValueType | None, message: str
) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, SCOPE, expects)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    "kind", [ValueType.BOOL, ValueType.STRING, ValueType.list_of(ValueType.DYN)]
)
def test_another_type_that_shows_at_run_time_fails(kind: ValueType) -> None:
    expression = compile_expression("result.body.items[0]", SCOPE, kind)
    with pytest.raises(ExpressionFailedError, match="gave 1, where a value of type"):
        expression.evaluate(VALUES)


def test_a_bool_is_no_int() -> None:
    expression = compile_expression("result.body", SCOPE, ValueType.INT)
    with pytest.raises(ExpressionFailedError, match="gave True"):
        expression.evaluate({"result": {"body": True}})


LIMITS = {
    "empty": ("", "the expression is empty"),
    "blank": (" \n", "the expression is empty"),
    "only a comment": ("// a", "the expression is empty"),
    "too long": ("1" * 4097, "the expression has 4097 characters, 4096 are allowed; split it"),
    "brackets": ("(" * 2000 + "1" + ")" * 2000, "the expression is nested more than 32 levels"),
    "sum": ("1" + "+1" * 2000, "the expression is nested more than 32 levels"),
    "fields": ("result.body" + ".a" * 2000, "the expression is nested more than 32 levels"),
    "surrogate": ("'\ud800'", "the expression isn't valid Unicode text"),
    "broken pattern": ("alert.name.matches('(')", "invalid regular expression: missing )"),
}


@pytest.mark.parametrize(("text", "message"), LIMITS.values(), ids=LIMITS)
def test_what_can_not_run_is_refused(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, SCOPE)
    assert caught.value.message.startswith(message)


WORDS = [
    "alert", "alerts", "labels", "name", "params", "result", "body", "x", "true", "null", "in",
    "exists", "map", "has", "size", "min", "duration", "matches", "target", "failure",
    "(", ")", "[", "]", "{", "}", ".", ",", ":", "?", "+", "-", "*", "/", "%", "!", "<", ">=",
    "==", "!=", "&&", "||", "1", "2.5", "9223372036854775807", "'a'", '"5m"', "r'\\d'", "`q`",
    " ", "\n", "//", "'", "$", "é",
]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=25).map("".join))
@example("duration('\\x')")
@example("has(alerts.labels[")
def test_no_text_crashes(text: str) -> None:
    try:
        expression = compile_expression(text, SCOPE)
    except ExpressionError as error:
        assert 1 <= error.column <= len(text) + 1
        assert error.message
        return
    assert isinstance(expression, Expression)
    try:
        expression.evaluate(Bindings(VALUES, {"failure": lambda: True}))
    except ExpressionFailedError as error:
        assert str(error)


@settings(deadline=None)
@given(
    # CEL's texts end at a NUL; the gateway replaces it in all that comes from outside.
    st.dictionaries(
        st.sampled_from(["a", "b", "c"]),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5),
    ),
    st.sampled_from(["a", "b", "c"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="\\\"'")),
)
def test_comparing_a_label_means_what_it_says(
    labels: dict[str, str], name: str, value: str
) -> None:
    text = f'alert.labels.{name} == "{value}"'
    assert value_of(text, {"alert.labels": labels}) is (labels.get(name, "") == value)
