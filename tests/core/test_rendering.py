import pytest

from engine.core.expressions import Bindings, ExpressionFailedError, Scope, ValueType
from engine.core.rendering import Renderable, render
from engine.core.templates import compile_template

SCOPE = Scope(
    {
        "n": ValueType.INT,
        "d": ValueType.DURATION,
        "t": ValueType.TIMESTAMP,
        "s": ValueType.STRING,
        "missing": ValueType.STRING,
    }
)
BINDINGS = Bindings({"n": 3, "s": "x"})


def test_values_are_rendered_at_every_depth_and_keep_their_type() -> None:
    value: Renderable = {
        "list": [compile_template("${{ n + 1 }}", SCOPE), "plain", None],
        "map": {"a": compile_template("n is ${{ n }}", SCOPE)},
        "lists": compile_template('${{ [s, "y"] }}', SCOPE),
        "truth": True,
    }
    assert render(value, BINDINGS) == {
        "list": [4, "plain", None],
        "map": {"a": "n is 3"},
        "lists": ["x", "y"],
        "truth": True,
    }


def test_times_become_text() -> None:
    duration = compile_template('${{ duration("90m") }}', SCOPE)
    moment = compile_template('${{ timestamp("2026-01-31T12:00:00Z") }}', SCOPE)
    assert render([duration, moment], BINDINGS) == ["1h30m", "2026-01-31T12:00:00+00:00"]


def test_a_value_that_is_not_there_stops_the_rendering() -> None:
    with pytest.raises(ExpressionFailedError):
        render({"a": [compile_template("${{ missing }}", SCOPE)]}, BINDINGS)
