from datetime import timedelta

import pytest

from engine.core.compiling import (
    compile_argument,
    compile_condition,
    compile_duration,
    compile_value,
)
from engine.core.documents import Parameter
from engine.core.expressions import Scope, ValueType
from engine.core.inventory import Inventory
from engine.core.mistakes import Mistakes
from engine.core.scopes import ALERT, playbook_scope
from engine.core.templates import Template

WORDS = Parameter.model_validate({"type": "list", "items": {"type": "string"}})
SCOPE = playbook_scope({"host": Parameter(type="target"), "free": Parameter(type="string")})


def test_what_is_right_is_compiled_without_mistakes() -> None:
    mistakes = Mistakes()
    assert compile_duration("1h30m", mistakes) == timedelta(minutes=90)
    assert compile_condition('params.free == "x"', SCOPE, mistakes) is not None
    compiled = compile_value(
        {"a": "${{ params.host }}", "b": [1, "x"]},
        SCOPE,
        ValueType.map_of(ValueType.DYN),
        mistakes,
    )
    assert isinstance(compiled, dict)
    assert isinstance(compiled["a"], Template)
    assert compiled["b"] == [1, "x"]
    assert not mistakes.found


@pytest.mark.parametrize(
    ("value", "expects", "column", "message"),
    [
        pytest.param("${{ parms.host }}", ValueType.STRING, 5, "did you mean", id="name"),
        pytest.param("at ${{ params.free }}", ValueType.STRING, 8, "no checked form", id="free"),
        pytest.param(5, ValueType.STRING, 0, "put it in quotes", id="number-for-text"),
        pytest.param(True, ValueType.INT, 0, "this is a bool", id="bool-for-int"),
        pytest.param([], ValueType.map_of(ValueType.DYN), 0, "this is a list", id="list-for-map"),
        pytest.param(None, ValueType.STRING, 0, "this is nothing", id="nothing-for-text"),
        pytest.param("x", ValueType.INT, 0, "the text 'x', and int is needed", id="text-for-int"),
        pytest.param(
            "${{ alert.labels.model }}",
            ValueType.STRING,
            5,
            "`default: '${{ alert.labels.model }}'`",
            id="alert-in-a-playbook",
        ),
        pytest.param(
            "${{ steps.restart.stdout }}",
            ValueType.STRING,
            5,
            "no change is fed by another change",
            id="output-of-a-change",
        ),
        pytest.param(
            "${{ inputs.host }}", ValueType.STRING, 5, "write params.<name>", id="word-of-others"
        ),
        pytest.param("${{ item }}", ValueType.STRING, 5, "in `as`", id="item-of-others"),
    ],
)
def test_a_mistake_has_the_column_in_its_text(
    value: object, expects: ValueType, column: int, message: str
) -> None:
    mistakes = Mistakes()
    compile_value(value, SCOPE, expects, mistakes)  # type: ignore[arg-type]
    (mistake,) = mistakes.found
    assert mistake.column == column
    assert message in mistake.message


def test_in_a_rule_a_misspelt_field_of_the_alert_is_only_that() -> None:
    mistakes = Mistakes()
    compile_condition('alert.nam == "x"', ALERT, mistakes)
    assert "did you mean 'alert.name'?" in mistakes.found[0].message


def test_in_a_rule_a_word_of_others_is_no_parameter() -> None:
    mistakes = Mistakes()
    compile_condition('env == "x"', ALERT, mistakes)
    assert "unknown name 'env'" in mistakes.found[0].message


def test_what_a_step_does_not_give_is_told_with_what_it_gives() -> None:
    mistakes = Mistakes()
    gives = {"steps.look.exit_code": ValueType.INT, "steps.look.outcome": ValueType.STRING}
    compile_condition('steps.look.conclusion.x == "ok"', SCOPE.merged(Scope(gives)), mistakes)
    assert mistakes.found[0].message == (
        "step 'look' gives no 'conclusion.x'; it gives exit_code, outcome"
    )


@pytest.mark.parametrize("text", ["", "5", "0s", "1 m", "-5m"])
def test_a_text_that_is_no_duration_is_a_mistake(text: str) -> None:
    mistakes = Mistakes()
    assert compile_duration(text, mistakes) == timedelta(0)
    assert len(mistakes.found) == 1


@pytest.mark.parametrize(
    ("value", "parameter", "problem"),
    [
        pytest.param("${{ params.free }}", Parameter(type="integer"), "", id="text-is-read-later"),
        pytest.param("${{ 1 }}", Parameter(type="number"), "", id="int-for-number"),
        pytest.param("${{ 1.5 }}", Parameter(type="integer"), "gives double", id="double-for-int"),
        pytest.param("7", Parameter(type="integer"), "", id="constant"),
        pytest.param("x", Parameter(type="integer"), "isn't an integer", id="bad-constant"),
        pytest.param([1], Parameter(type="string"), "isn't text", id="list"),
        pytest.param(["a", "${{ params.host }}"], WORDS, "", id="list-with-a-template"),
        pytest.param(["a", 1], WORDS, "1 isn't text", id="bad-item"),
        pytest.param("a,b", WORDS, "", id="list-as-text"),
        pytest.param("${{ [params.host] }}", WORDS, "", id="list-by-expression"),
        pytest.param("${{ [1] }}", WORDS, "gives list(int)", id="list-of-another-type"),
        pytest.param("${{ 1 }}", WORDS, "gives int", id="no-list"),
    ],
)
def test_an_argument_is_read_now_or_its_type_checked(
    value: object, parameter: Parameter, problem: str
) -> None:
    mistakes = Mistakes()
    compile_argument(value, parameter, SCOPE, Inventory(), mistakes)  # type: ignore[arg-type]
    assert [problem in m.message for m in mistakes.found] == ([True] if problem else [])
