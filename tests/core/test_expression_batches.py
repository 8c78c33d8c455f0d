"""Conditions in batches give what each gives alone."""

from collections.abc import Mapping, Sequence

import pytest

from engine.core.expression_batches import BATCH, compile_batches
from engine.core.expressions import Bindings, Expression, ExpressionFailedError, Scope, ValueType
from engine.core.expressions import compile_expression as compiled
from engine.core.scopes import ALERT, alert_bindings
from tests.doubles.declarations import firing

TEXTS = (
    'alert.labels.a == "x"',
    'alert.labels.b == "" // absent is ""',
    'alert.name.startsWith("D")',
    'alert.labels.a in ["x", "y"] ? alert.labels.c == "" : false',
    "duration('1d') > duration('23h')",
    'alert.labels.a == "}" || true',
)


def conditions(texts: Sequence[str]) -> list[Expression]:
    return [compiled(text, ALERT, ValueType.BOOL) for text in texts]


def alone(found: Sequence[Expression], bindings: Bindings) -> Mapping[str, object]:
    return {each.text: each.evaluate(bindings) for each in found}


@pytest.mark.parametrize("labels", [{}, {"a": "x"}, {"a": "z", "b": "1"}], ids=str)
def test_each_condition_gives_what_it_gives_alone(labels: Mapping[str, str]) -> None:
    found, bindings = conditions(TEXTS), alert_bindings(firing("Down", **labels))  # type: ignore[arg-type]
    (batch,) = compile_batches(found)
    assert batch.evaluate(bindings) == alone(found, bindings)


def test_one_that_fails_leaves_the_others_to_be_asked_alone() -> None:
    found = conditions([*TEXTS, "int(alert.labels.a) > 1"])
    (batch,) = compile_batches(found)
    assert batch.evaluate(alert_bindings(firing("Down", a="x"))) is None
    assert batch.evaluate(alert_bindings(firing("Down", a="7"))) is not None


def test_a_batch_is_bounded_and_of_one_scope() -> None:
    other = compiled("x == 1", Scope({"x": ValueType.INT}), ValueType.BOOL)
    many = conditions([f'alert.name == "a{n}"' for n in range(BATCH * 2 + 1)])
    batches = compile_batches([*many, other, many[0]])
    assert [len(each.texts) for each in batches] == [BATCH, BATCH, 1, 1]


def test_a_condition_whose_type_only_the_run_can_tell_is_asked_alone() -> None:
    scope = Scope({"x": ValueType.DYN})
    anything = compiled("x", scope, ValueType.BOOL)
    assert compile_batches([anything]) == []
    with pytest.raises(ExpressionFailedError):
        anything.evaluate(Bindings({"x": 1}))
