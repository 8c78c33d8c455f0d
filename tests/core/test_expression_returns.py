"""The types that CEL tells, and which of them pass for which."""

import pytest

from engine.core.expression_returns import check_type, value_type
from engine.core.expression_types import ExpressionError, ValueType


@pytest.mark.parametrize(
    ("spelled", "found"),
    [
        ("STRING", ValueType.STRING),
        ("NULL", ValueType.DYN),
        ("LIST<INT>", ValueType.list_of(ValueType.INT)),
        ("LIST<LIST<BOOL>>", ValueType.list_of(ValueType.list_of(ValueType.BOOL))),
        ("MAP<STRING, DOUBLE>", ValueType.map_of(ValueType.DOUBLE)),
        ("BYTES", None),
    ],
)
def test_what_cel_spells_is_a_type_of_quell_s(spelled: str, found: ValueType | None) -> None:
    assert value_type(spelled) == found


@pytest.mark.parametrize(
    ("found", "expects", "passes"),
    [
        (ValueType.INT, ValueType.DOUBLE, True),
        (ValueType.DOUBLE, ValueType.INT, False),
        (ValueType.DYN, ValueType.BOOL, True),
        (ValueType.STRING, None, True),
        (None, ValueType.STRING, False),
        (ValueType.map_of(ValueType.STRING), ValueType.object_of({}), True),
        (ValueType.list_of(ValueType.INT), ValueType.list_of(ValueType.STRING), False),
        (ValueType.list_of(ValueType.INT), ValueType.list_of(ValueType.DOUBLE), True),
    ],
)
def test_what_does_not_fit_its_place_is_refused(
    found: ValueType | None, expects: ValueType | None, passes: bool
) -> None:
    if passes:
        check_type(found, expects)
        return
    with pytest.raises(ExpressionError, match="is needed here"):
        check_type(found, expects)
