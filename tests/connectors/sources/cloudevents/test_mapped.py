"""What expressions gave becomes an alert: each form of time, text and span, and what is none."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from connectors.sources.cloudevents.mapped import alert_of
from engine.core.alert import Alert
from engine.core.alert_mapping import Mapped
from engine.ports.payload import LabelNames, WrongField
from tests.contracts.source_case import NOW

SOUND: dict[str, Any] = {"status": "firing", "name": "A", "labels": {"x": "1"}, "links": []}


def read(**values: Any) -> Alert:
    return alert_of(Mapped(-1, {**SOUND, **values}), "s", LabelNames(), NOW)


def wrong_field(**values: Any) -> str:
    with pytest.raises(WrongField) as raised:
        read(**values)
    assert raised.value.problem
    return raised.value.field


def test_fields_come_from_labels_unless_an_expression_says_them() -> None:
    labels = {"service": "a", "severity": "page", "team": "t"}
    found = read(labels=labels, service="b", region="fra", severity_hint="")
    assert (found.service, found.team, found.region) == ("b", "t", "fra")
    assert found.severity_hint == "critical"
    assert read(labels=labels, severity_hint="LOW").severity_hint == "info"


def test_identity_is_what_it_says_or_name_and_labels() -> None:
    by_labels = {
        read().fingerprint,
        read(name="B").fingerprint,
        read(labels={"x": "2"}).fingerprint,
    }
    assert len(by_labels) == 3
    by_identity = {
        read(identity={"id": 7}, name=name, labels=labels).fingerprint
        for name in "AB"
        for labels in ({}, {"x": "2"})
    }
    assert len(by_identity) == 1
    assert read(identity={"id": "8"}).fingerprint not in by_identity


def test_numbers_and_truths_become_texts_and_nothing_is_absent() -> None:
    given = {"int": 3, "double": 2.5, "truth": True, "none": None, "empty": "", "text": "x\0"}
    assert read(labels=given).labels == {
        "int": "3",
        "double": "2.5",
        "truth": "true",
        "text": "x\ufffd",
    }


INSTANT = datetime(2026, 3, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (INSTANT, INSTANT),
        (INSTANT.astimezone(timezone(timedelta(hours=2))), INSTANT),
        ("2026-03-01T13:00:00+02:00", INSTANT),
        (INSTANT.timestamp(), INSTANT),
        (int(INSTANT.timestamp()), INSTANT),
        (None, None),
        ("", None),
        ("0001-01-01T00:00:00Z", None),
        (datetime(1, 1, 1, tzinfo=UTC), None),
    ],
)
def test_a_time_has_several_forms(given: object, expected: datetime | None) -> None:
    assert read(event_at=given).event_at == expected
    assert read(starts_at=given).starts_at == (expected or NOW)


@pytest.mark.parametrize("given", ["noon", True, [], {}, 1e30, float("nan"), 10**18, -(10**18)])
@pytest.mark.parametrize("field", ["starts_at", "event_at", "expires_at"])
def test_what_is_no_time_is_told(field: str, given: object) -> None:
    assert wrong_field(**{field: given}) == field


@pytest.mark.parametrize("given", [timedelta(minutes=5), "5m", 300, 300.0])
def test_a_span_has_several_forms(given: object) -> None:
    assert read(ttl=given).expires_at == NOW + timedelta(minutes=5)


@pytest.mark.parametrize("given", [timedelta(), "0", -1, "soon", True, [], 1e30, float("nan")])
def test_what_is_no_span_is_told(given: object) -> None:
    assert wrong_field(ttl=given) == "ttl"


def test_only_what_fires_expires_and_only_what_is_over_ends() -> None:
    times = {"ends_at": INSTANT, "expires_at": NOW}
    firing, resolved = read(**times), read(status="resolved", **times)
    assert (firing.ends_at, firing.expires_at) == (None, NOW)
    assert (resolved.ends_at, resolved.expires_at) == (INSTANT, None)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"status": "open"}, "status"),
        ({"status": ""}, "status"),
        ({"name": ""}, "name"),
        ({"labels": {}}, "labels"),
        ({"labels": {"x": None}}, "labels"),
        ({"labels": {}, "identity": {}}, "identity"),
        ({"labels": {"x": []}}, "labels.x"),
        ({"annotations": {"x": {}}}, "annotations.x"),
        ({"labels": {"x": "y" * 5_000}}, "labels.x"),
        ({"service": "y" * 5_000}, "service"),
    ],
)
def test_what_is_no_alert_is_told_by_field(values: Mapping[str, Any], field: str) -> None:
    assert wrong_field(**values) == field


def test_only_pages_are_links() -> None:
    assert read(links=["https://x", "", "ftp://x", "javascript:x"]).links == ("https://x",)
