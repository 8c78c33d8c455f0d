"""A copy is what `dataclasses.replace` makes."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from engine.core.copies import replace
from engine.core.run import StepState
from tests.store.values import PAST, an_incident


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        pytest.param(an_incident("a"), {}, id="none"),
        pytest.param(an_incident("a"), {"status": "closed", "closed_at": PAST}, id="some"),
        pytest.param(StepState(), {"outcome": "open", "attempts": 2}, id="another-class"),
    ],
)
def test_it_changes_what_is_said_and_keeps_the_rest(value: Any, changes: dict[str, Any]) -> None:
    before = dataclasses.replace(value)
    copy = replace(value, **changes)
    assert copy == dataclasses.replace(value, **changes)
    assert type(copy) is type(value)
    assert value == before
    assert copy is not value


def test_a_copy_is_frozen_and_stands_alone() -> None:
    first = an_incident("a")
    second = replace(first, opened_at=PAST + timedelta(days=1))
    assert first.opened_at == an_incident("a").opened_at
    with pytest.raises(dataclasses.FrozenInstanceError):
        second.status = "closed"  # type: ignore[misc]


def test_a_field_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError, match="stauts"):
        replace(an_incident("a"), stauts="closed")  # type: ignore[call-arg]
