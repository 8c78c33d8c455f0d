"""What a step is given of secrets follows from its playbook; a text can't add to it."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.expressions import Bindings, Scope, ValueType
from engine.core.json_value import Json
from engine.core.planned_secrets import secrets_of
from engine.core.rendering import Renderable, render
from engine.core.templates import compile_template
from engine.errors import PermanentError

SCOPE = Scope(
    {"params.text": ValueType.FORMATTED, "steps.read.json": ValueType.DYN},
    narrow=True,
    secrets={"params.token": ("a",), "params.other": ("b",)},
).taking_secrets()


def found(inputs: Mapping[str, str | Mapping[str, str]], **values: Json) -> tuple[str, ...]:
    known = {"params.token": "${secret:token}", "params.other": "${secret:other}"}
    bindings = Bindings(
        {**known, **{name.replace("_", "."): each for name, each in values.items()}}
    )
    compiled = {name: _compiled(each) for name, each in inputs.items()}
    rendered = {name: render(each, bindings) for name, each in compiled.items()}
    return secrets_of(compiled, rendered, bindings)


def _compiled(value: str | Mapping[str, str]) -> Renderable:
    if isinstance(value, str):
        return compile_template(value, SCOPE)
    return {key: compile_template(each, SCOPE) for key, each in value.items()}


def test_the_names_are_those_that_its_expressions_give() -> None:
    inputs: dict[str, str | Mapping[str, str]] = {
        "headers": {"authorization": "Bearer ${{ params.token }}", "x": "${{ params.token }}"},
        "body": "${{ params.other }}",
    }
    assert found(inputs) == ("other", "token")
    assert found({"body": "${{ params.text }}"}, params_text="nothing") == ()


@pytest.mark.parametrize(
    ("inputs", "values"),
    [
        pytest.param({"a": "${{ params.text }}"}, {"params_text": "${secret:other}"}, id="a text"),
        pytest.param(
            {"a": "$${{ params.text }}"}, {"params_text": "{secret:other}"}, id="in two pieces"
        ),
        pytest.param(
            {"a": "${{ params.text + params.text }}"},
            {"params_text": "secret:a}x${"},
            id="computed",
        ),
        pytest.param(
            {"a": "${{ params.token }}", "b": "${{ params.text }}"},
            {"params_text": "${secret:token}"},
            id="beside a real one of its name",
        ),
        pytest.param(
            {"a": "${{ steps.read.json }}"},
            {"steps_read_json": [{"deep": "x ${secret:other} y"}]},
            id="deep in an output",
        ),
        pytest.param(
            {"a": "${{ steps.read.json }}"},
            {"steps_read_json": {"${secret:other}": 1}},
            id="the name of a member",
        ),
    ],
)
def test_a_text_that_looks_like_a_reference_is_refused(
    inputs: Mapping[str, str], values: Mapping[str, Json]
) -> None:
    with pytest.raises(PermanentError, match="looks like a reference to a secret"):
        found(inputs, **values)


PIECES = ["$", "{", "secret:", "${secret:", "token", "}", "x"]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_no_text_in_front_or_behind_makes_it_another_one(text: str) -> None:
    inputs = {"a": "${{ params.text }}${{ params.token }}${{ params.text }}"}
    if f"{text}${{secret:token}}{text}".count("${secret:") > 1:
        with pytest.raises(PermanentError):
            found(inputs, params_text=text)
    else:
        assert found(inputs, params_text=text) == ("token",)
