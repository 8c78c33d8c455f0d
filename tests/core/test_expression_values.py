"""Values are found by their names and given to CEL in the form that it takes."""

from collections import UserDict
from types import MappingProxyType
from typing import Any

import pytest

from engine.core.expression_types import ValueType
from engine.core.expression_values import for_cel, looked_up

NONE: frozenset[str] = frozenset()
ITEM = ValueType.object_of({"labels": ValueType.LABELS, "cost": ValueType.DOUBLE})


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"a.b.c": 1}, 1),
        ({"a": {"b": {"c": 2}}}, 2),
        ({"a.b": {"c": 3}}, 3),
        ({"a": {"b.c": 4}}, 4),
        ({"a": UserDict({"b.c": 5})}, 5),
        ({"a": 6, "a.b": {"c": 6}}, 6),
        ({"a": {"x": 7}}, None),
        ({"a": {"b": 8}}, None),
        ({}, None),
    ],
)
def test_a_value_is_found_by_its_dotted_name(values: dict[str, Any], found: object) -> None:
    assert looked_up(values, "a.b.c") == found


@pytest.mark.parametrize(
    ("declared", "value", "labels", "given"),
    [
        (ValueType.LABELS, {"a": "1"}, {"a", "b"}, {"a": "1", "b": ""}),
        (ValueType.DOUBLE, 3, NONE, 3.0),
        (ValueType.INT, 3, NONE, 3),
        (ValueType.list_of(ValueType.STRING), ("a", "b"), NONE, ["a", "b"]),
        (ValueType.map_of(ValueType.STRING), MappingProxyType({"a": "b"}), NONE, {"a": "b"}),
        (
            ITEM,
            {"labels": {}, "cost": 1, "x": None},
            {"a"},
            {"labels": {"a": ""}, "cost": 1.0, "x": None},
        ),
        (
            ValueType.list_of(ITEM),
            [{"labels": {"a": "1"}}],
            {"b"},
            [{"labels": {"a": "1", "b": ""}}],
        ),
        (ValueType.DYN, None, NONE, None),
    ],
)
def test_a_value_takes_the_form_of_its_type(
    declared: ValueType, value: object, labels: frozenset[str], given: object
) -> None:
    found = for_cel(declared, value, frozenset(labels))
    assert found == given
    assert type(found) is type(given)
