"""Reading a context never fails, and its odd types become texts."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sources.azure_monitor.context import context_of, text_of, time_of
from engine.ports.payload import WrongField


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        ("a\0b\ud800", "a�b�"),
        (3, "3"),
        (0.5, "0.5"),
        (True, "true"),
        (None, ""),
        ([1], ""),
        ({"a": 1}, ""),
    ],
)
def test_texts(value: Any, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("3/22/2019 1:36:31 PM", datetime(2019, 3, 22, 13, 36, 31, tzinfo=UTC)),
        ("12/1/2019 12:00:01 AM", datetime(2019, 12, 1, 0, 0, 1, tzinfo=UTC)),
        ("2019-03-22T13:58:24.3713213Z", datetime(2019, 3, 22, 13, 58, 24, 371321, tzinfo=UTC)),
        ("2019-03-22T15:58:24+02:00", datetime(2019, 3, 22, 13, 58, 24, tzinfo=UTC)),
        ("", None),
        (None, None),
    ],
)
def test_times(text: str | None, at: datetime | None) -> None:
    assert time_of({"t": text}, "t") == at


@pytest.mark.parametrize("text", ["22/3/2019 1:36:31 PM", "3/22/2019", "soon", 3, True])
def test_what_is_no_time(text: Any) -> None:
    with pytest.raises(WrongField) as wrong:
        time_of({"t": text}, "t")
    assert wrong.value.field == "t"


def test_an_event_s_properties_are_facts_and_a_rule_s_are_not() -> None:
    raw: dict[str, Any] = {"properties": {"stage": "Active"}, "eventTimestamp": 3}
    assert context_of(raw, is_event=True).labels == {"stage": "Active"}
    assert context_of(raw, is_event=False).labels == {}
    assert context_of(raw, is_event=True).event_at is None


keys = st.sampled_from(
    [
        *("condition", "allOf", "dimensions", "Dimensions", "labels", "annotations", "AlertData"),
        *("properties", "authorization", "scope", "name", "value", "eventTimestamp", "threshold"),
    ]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(keys, anything), st.booleans())
def test_no_context_fails(raw: dict[str, Any], is_event: bool) -> None:
    found = context_of(raw, is_event=is_event)
    for texts in (found.labels, found.annotations, found.dimensions, found.prometheus_labels):
        assert all(isinstance(text, str) for text in texts.values())
