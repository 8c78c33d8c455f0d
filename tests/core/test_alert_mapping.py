"""A mapping's expressions: checked when they are read, and each body's values or what is wrong."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.core.alert_mapping import (
    MAX_PROBLEM,
    AlertMapping,
    Failed,
    Mapped,
    MappingDocument,
    compile_mapping,
)
from engine.core.mistakes import Mistakes

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOUND = {"language": 1, "status": "body.status", "name": "body.name", "labels": "body.labels"}
BODY = {"status": "firing", "name": "A", "labels": {"x": "1"}}


def mapping(**fields: Any) -> AlertMapping:
    mistakes = Mistakes()
    found = compile_mapping(MappingDocument.model_validate({**SOUND, **fields}), mistakes)
    assert found is not None, mistakes.found
    return found


def mistakes_of(**fields: Any) -> list[tuple[tuple[str | int, ...], int]]:
    """The place and column of each mistake."""
    mistakes = Mistakes()
    document = MappingDocument.model_validate({**SOUND, **fields})
    assert compile_mapping(document, mistakes) is None
    return [(each.path, each.column) for each in mistakes.found]


def read(found: AlertMapping, body: Any) -> list[Mapped | Failed]:
    return list(found.read(body, NOW))


def test_one_body_is_one_alert() -> None:
    assert read(mapping(), BODY) == [Mapped(-1, {**BODY, "links": []})]


def test_each_item_is_one_alert_with_its_place() -> None:
    found = mapping(for_each="body.all", name="item.name", status='"firing"', labels="item")
    assert read(found, {"all": [{"name": "A"}, {"name": "B"}]}) == [
        Mapped(index, {"status": "firing", "name": name, "labels": {"name": name}, "links": []})
        for index, name in enumerate("AB")
    ]


def test_what_when_excludes_is_left_out() -> None:
    found = mapping(for_each="body.all", when="item > 1", name="string(item)", labels='{"x": item}')
    names = [
        each.values["name"]
        for each in read(found, {"status": "firing", "all": [1, 2, 3]})
        if isinstance(each, Mapped)
    ]
    assert names == ["2", "3"]


def test_an_item_that_fails_stops_no_other() -> None:
    found = mapping(for_each="body.all", name="item.name", status='"firing"', labels="item")
    first, second = read(found, {"all": [{}, {"name": "B"}]})
    assert isinstance(first, Failed)
    assert first.field == "for_each[0].name"
    assert 'there is no key "name"' in first.problem
    assert isinstance(second, Mapped)


FAILURES: tuple[tuple[dict[str, Any], Any, str], ...] = (
    ({}, {}, "status"),
    ({}, {**BODY, "name": 7}, "name"),
    ({}, {**BODY, "labels": "x"}, "labels"),
    ({}, None, "status"),
    ({}, [], "status"),
    ({"labels": {"a": "body.a"}}, BODY, "labels.a"),
    ({"links": ['"https://x"', "body.link"]}, BODY, "links[1]"),
    ({"for_each": "body.all"}, BODY, "for_each"),
    ({"for_each": "body.name"}, BODY, "for_each"),
    ({"when": "body.ok"}, {**BODY, "ok": "yes"}, "when"),
    ({"starts_at": "timestamp(body.name)"}, BODY, "starts_at"),
    ({"service": "body.name + body.labels"}, BODY, "service"),
)


@pytest.mark.parametrize(("fields", "body", "field"), FAILURES)
def test_an_expression_without_a_value_names_its_field(
    fields: dict[str, Any], body: Any, field: str
) -> None:
    (failed,) = read(mapping(**fields), body)
    assert isinstance(failed, Failed)
    assert failed.field == field


def test_a_problem_with_a_long_value_is_cut() -> None:
    (failed,) = read(mapping(), {**BODY, "name": ["x" * 100_000]})
    assert isinstance(failed, Failed)
    assert len(failed.problem) <= MAX_PROBLEM


def test_an_alert_may_name_when_it_was_received() -> None:
    (found,) = read(mapping(starts_at='received_at - duration("5m")'), BODY)
    assert isinstance(found, Mapped)
    assert found.values["starts_at"] == NOW - timedelta(minutes=5)


MISTAKES: tuple[tuple[dict[str, Any], list[tuple[tuple[str | int, ...], int]]], ...] = (
    ({"name": "boddy.name"}, [(("name",), 1)]),
    ({"name": 'body.x + "a" +'}, [(("name",), 15)]),
    ({"name": "1"}, [(("name",), 1)]),
    ({"when": '"yes"'}, [(("when",), 1)]),
    ({"for_each": '"all"'}, [(("for_each",), 1)]),
    ({"for_each": "item.x"}, [(("for_each",), 1)]),
    ({"name": "item.x"}, [(("name",), 1)]),
    ({"labels": "[1]"}, [(("labels",), 1)]),
    ({"labels": {"a": "[1]", "b": "nobody"}}, [(("labels", "a"), 1), (("labels", "b"), 1)]),
    ({"starts_at": "true"}, [(("starts_at",), 1)]),
    ({"ttl": "true"}, [(("ttl",), 1)]),
    ({"links": ["1", "x"]}, [(("links", 0), 1), (("links", 1), 1)]),
)


@pytest.mark.parametrize(("fields", "places"), MISTAKES)
def test_a_wrong_expression_is_found_when_it_is_read(
    fields: dict[str, Any], places: list[tuple[tuple[str | int, ...], int]]
) -> None:
    assert mistakes_of(**fields) == places


@pytest.mark.parametrize(
    "fields",
    [
        {"language": 2},
        {"labels": None},
        {"ttl": '"1h"', "expires_at": "body.until"},
        {"labls": "body.labels"},
        {"links": ["''"] * 11},
        {"status": 1},
    ],
    ids=str,
)
def test_a_document_of_another_shape_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MappingDocument.model_validate({**SOUND, **fields})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(json_values)
def test_no_body_raises(body: Any) -> None:
    for found in (mapping(), mapping(for_each="body", name="item.name")):
        for each in found.read(body, NOW):
            assert isinstance(each, Mapped | Failed)
