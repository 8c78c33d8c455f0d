"""A lone expression yields its typed value; inside text only values of a checked form may stand."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.expressions import ExpressionError, ExpressionFailedError, Scope, ValueType
from engine.core.templates import compile_template

SCOPE = Scope(
    {
        "params.host": ValueType.FORMATTED,
        "params.model": ValueType.STRING,
        "params.port": ValueType.INT,
        "params.ratio": ValueType.DOUBLE,
        "params.force": ValueType.BOOL,
        "params.window": ValueType.DURATION,
        "alert.labels": ValueType.LABELS,
        "result.body": ValueType.DYN,
    }
)
VALUES: dict[str, object] = {
    "params": {
        "host": "gpu-07",
        "model": "llama",
        "port": 9100,
        "ratio": 0.5,
        "force": True,
        "window": timedelta(minutes=90),
    },
    "alert.labels": {},
    "result.body": {"a": [1]},
}

RESULTS: dict[str, tuple[str, ValueType, object]] = {
    "constant": ("plain", ValueType.STRING, "plain"),
    "empty": ("", ValueType.STRING, ""),
    "braces alone are text": ("{{.Names}} }} $", ValueType.STRING, "{{.Names}} }} $"),
    "typed int": ("${{ params.port }}", ValueType.INT, 9100),
    "typed text of any form": ("${{ params.model }}", ValueType.STRING, "llama"),
    "typed map": ("${{ result.body }}", ValueType.DYN, {"a": [1]}),
    "a block's line break": ("${{ params.port }}\n", ValueType.INT, 9100),
    "map literal": (
        '${{ {"a": {"b": 1}}}}',
        ValueType.map_of(ValueType.map_of(ValueType.INT)),
        {"a": {"b": 1}},
    ),
    "braces in a text": ("${{ '}}' }}", ValueType.STRING, "}}"),
    "formatted text inside": ("http://${{ params.host }}/v1", ValueType.STRING, "http://gpu-07/v1"),
    "several": ("${{params.host}}:${{params.port}}", ValueType.STRING, "gpu-07:9100"),
    "duration": ("rate(x[${{ params.window }}])", ValueType.STRING, "rate(x[1h30m])"),
    "double": ("x > ${{ params.ratio }}", ValueType.STRING, "x > 0.5"),
    "bool": ("force=${{ params.force }}", ValueType.STRING, "force=true"),
    "literal": ("write ${{ '${{' }}", ValueType.STRING, "write ${{"),
    "comparison": ("many: ${{ params.port > 2 }}", ValueType.STRING, "many: true"),
}


@pytest.mark.parametrize(("text", "kind", "expected"), RESULTS.values(), ids=RESULTS)
def test_a_template_gives_its_value(text: str, kind: ValueType, expected: object) -> None:
    template = compile_template(text, SCOPE)
    assert template.type == kind
    assert template.evaluate(VALUES) == expected


def test_only_a_text_without_expressions_is_constant() -> None:
    assert compile_template("a }} b", SCOPE).is_constant
    assert not compile_template("${{ 1 }}", SCOPE).is_constant


def test_names_the_labels_of_all_its_expressions() -> None:
    template = compile_template("${{ alert.labels.a == '' }} ${{ alert.labels.b == '' }}", SCOPE)
    assert template.labels == {"a", "b"}
    assert template.evaluate(VALUES) == "true true"


NO_FORM = (
    "has no checked form, so it can't stand inside a text: give the parameter a pattern or an "
    "enum, or write the expression alone"
)
REFUSED = {
    "not closed": ("a ${{ params.host", 3, "'${{' isn't closed; add '}}'"),
    "not closed, with an apostrophe behind": ("${{ a }, it's", 1, "'${{' isn't closed; add '}}'"),
    "second not closed": ("${{ params.port }} ${{ x", 20, "'${{' isn't closed; add '}}'"),
    "empty": ("a ${{ }}", 3, "the expression is empty"),
    "mistake inside": ("a: ${{ params.hots }}", 8, "unknown name 'params.hots', did you mean"),
    "mistake alone": ("${{  params.hots }}", 6, "unknown name 'params.hots', did you mean"),
    "free text inside": ("a ${{ params.model }}", 7, f"'params.model' {NO_FORM}"),
    "free text made of formatted": ("a ${{ params.host + '!' }}", 7, f"this value {NO_FORM}"),
    "map inside": ("a ${{ result.body }}", 7, f"'result.body' {NO_FORM}"),
    "label inside": ("a ${{ alert.labels.x }}", 7, f"'alert.labels.x' {NO_FORM}"),
}


@pytest.mark.parametrize(("text", "column", "message"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_named_with_its_column(text: str, column: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_template(text, SCOPE)
    assert caught.value.message.startswith(message)
    assert caught.value.column == column


@pytest.mark.parametrize("text", ["a", "a ${{ params.port }}", "${{ params.host }}"])
def test_another_type_than_expected_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError, match="this gives string, and int is needed here"):
        compile_template(text, SCOPE, ValueType.INT)


def test_a_lone_int_passes_for_a_double() -> None:
    template = compile_template("${{ params.port }}", SCOPE, ValueType.DOUBLE)
    assert template.evaluate(VALUES) == 9100.0


def test_a_lone_bool_passes_where_any_value_does() -> None:
    assert compile_template("${{ true }}", Scope(), ValueType.DYN).evaluate({}) is True


def test_a_value_that_is_missing_fails_the_whole_text() -> None:
    template = compile_template("a ${{ params.host }}", SCOPE)
    with pytest.raises(ExpressionFailedError, match=r"'params\.host' has no value here"):
        template.evaluate({})


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(["${{", "}}", "{", "}", "$", " ", "params.port", "'", '"', "a", "//"]),
        max_size=12,
    ).map("".join)
)
def test_no_text_crashes(text: str) -> None:
    try:
        template = compile_template(text, SCOPE)
    except ExpressionError as error:
        assert 1 <= error.column <= len(text) + 1
    else:
        assert not template.is_constant or template.evaluate({}) == text


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("{{ params.host }}", 1),
        ("http://{{params.host}}/v1", 8),
        ("${{ params.host }}:{{- params.port }}", 20),
        ("{{ alert.labels.model | upper }}", 1),
        ("{{ inventory_hostname }}", 1),
        ("{{end}} {{ unit|default('a') }}", 9),
    ],
)
def test_an_expression_as_jinja_has_it_is_never_taken_for_text(text: str, column: int) -> None:
    with pytest.raises(ExpressionError, match=r"begins with '\$\{\{' here") as raised:
        compile_template(text, SCOPE)
    assert raised.value.column == column


@pytest.mark.parametrize(
    "text",
    ["{{.State.Status}}", "{{if .Up}}a{{else}}b{{end}}", "{{json .State}}", "{{ $labels.job }}"],
)
def test_a_template_of_go_is_text(text: str) -> None:
    assert compile_template(text, SCOPE).is_constant
