"""quell's own notices: what each member means, and that the published schema says the same."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest

from connectors.sources.cloudevents.notice import TYPE, alert_of
from connectors.sources.cloudevents.source import LABELS
from engine.client.reporting.events import NOTICE_TYPE
from engine.core.alert import Alert
from engine.ports.payload import WrongField
from tests.connectors.sources.cloudevents.case import event
from tests.contracts.source_case import NOW
from tests.doubles.notice_receiver import CHECKER

SOUND: dict[str, Any] = {"status": "firing", "name": "ModelCallsFailing"}
LATER = NOW + timedelta(minutes=5)


def read(data: Any, **attributes: Any) -> Alert:
    raw = {**event(SOUND), **attributes} | {"data": data}
    return alert_of(raw, "apps", LABELS, NOW + timedelta(seconds=3))


def wrong_field(data: Any, **attributes: Any) -> str:
    with pytest.raises(WrongField) as raised:
        read(data, **attributes)
    return raised.value.field


def test_reporter_and_source_speak_of_the_same_type() -> None:
    assert TYPE == NOTICE_TYPE


def test_every_member_has_its_place() -> None:
    found = read(
        {
            "status": "firing",
            "name": "ModelCallsFailing",
            "labels": {
                "app": "checkout",
                "model": "gpt-4o",
                "environment": "production",
                "instance": "web-1:7",
            },
            "annotations": {"summary": "10 of 40 calls failed"},
            "starts_at": "2026-03-01T11:00:00.000005Z",
            "expires_at": "2026-03-01T12:04:00Z",
            "severity_hint": "critical",
            "links": ["https://runbooks.example/x", "javascript:alert(1)"],
        }
    )
    assert (found.name, found.status, found.source) == ("ModelCallsFailing", "firing", "apps")
    assert found.annotations == {"summary": "10 of 40 calls failed"}
    assert found.starts_at == datetime(2026, 3, 1, 11, 0, 0, 5, tzinfo=UTC)
    assert found.expires_at == datetime(2026, 3, 1, 12, 4, tzinfo=UTC)
    assert (found.event_at, found.received_at) == (NOW, NOW + timedelta(seconds=3))
    assert (found.service, found.environment) == ("checkout", "production")
    assert (found.target, found.severity_hint) == ("web-1:7", "critical")
    assert found.links == ("https://runbooks.example/x",)


def test_a_service_label_is_better_than_the_application_s_name() -> None:
    assert read({**SOUND, "labels": {"app": "checkout", "service": "llm-70b"}}).service == "llm-70b"


def test_source_name_and_labels_identify_it_and_nothing_else_does() -> None:
    same = read({**SOUND, "labels": {"model": "m"}})
    again = read(
        {
            **SOUND,
            "status": "resolved",
            "labels": {"model": "m", "empty": ""},
            "annotations": {"a": "b"},
            "starts_at": "2026-03-01T10:00:00Z",
        },
        id="other",
        time="2026-03-01T12:05:00Z",
    )
    assert same.fingerprint == again.fingerprint
    others = {
        read({**SOUND, "labels": {"model": "n"}}).fingerprint,
        read({**SOUND, "name": "ModelCallsSlow", "labels": {"model": "m"}}).fingerprint,
        read({**SOUND, "labels": {"model": "m"}}, source="/apps/other").fingerprint,
        read({**SOUND, "labels": {"name": "m"}}).fingerprint,
        read({**SOUND, "labels": {"source": "m"}}).fingerprint,
    }
    assert len(others - {same.fingerprint}) == 5


def test_a_label_does_not_pass_for_the_name_or_the_source() -> None:
    plain = read({**SOUND, "name": "A"})
    for label, value in (("name", "A"), ("source", "/apps/checkout")):
        found = read({**SOUND, "name": "B", "labels": {label: value}})
        assert found.fingerprint not in (
            plain.fingerprint,
            read({**SOUND, "name": "B"}).fingerprint,
        )


def test_an_end_ends_and_does_not_expire() -> None:
    times = {"ends_at": "2026-03-01T11:30:00Z", "expires_at": "2026-03-01T12:30:00Z"}
    ended = read({**SOUND, "status": "resolved", **times})
    assert (ended.ends_at, ended.expires_at) == (datetime(2026, 3, 1, 11, 30, tzinfo=UTC), None)
    firing = read({**SOUND, **times})
    assert (firing.ends_at, firing.expires_at) == (None, datetime(2026, 3, 1, 12, 30, tzinfo=UTC))


def test_what_is_absent_is_the_event_s_time_and_then_when_it_came() -> None:
    assert read(SOUND).starts_at == NOW
    assert read(SOUND, time=None).starts_at == NOW + timedelta(seconds=3)
    assert read(SOUND, time=None).event_at is None


def test_a_label_hints_at_the_severity_where_the_notice_does_not() -> None:
    assert read({**SOUND, "labels": {"severity": "page"}}).severity_hint == "critical"
    assert read({**SOUND, "severity_hint": "unheard of"}).severity_hint == ""


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"status": "open"}, "data.status"),
        ({"status": None}, "data.status"),
        ({"name": ""}, "data.name"),
        ({"name": 1}, "data.name"),
        ({"labels": []}, "data.labels"),
        ({"labels": {"a": 1}}, "data.labels.a"),
        ({"annotations": {"a": None}}, "data.annotations.a"),
        ({"starts_at": "yesterday"}, "data.starts_at"),
        ({"ends_at": 5}, "data.ends_at"),
        ({"expires_at": "2026-13-01T00:00:00Z"}, "data.expires_at"),
        ({"links": "https://x"}, "data.links"),
        ({"links": ["https://x", 1]}, "data.links[1]"),
        ({"labels": {"a": "x" * 5_000}}, "data.labels.a"),
        ({"labels": {str(n): "x" for n in range(200)}}, "data.labels"),
    ],
)
def test_what_is_wrong_is_told_by_field_and_refused_by_the_schema_too(
    changes: Mapping[str, Any], field: str
) -> None:
    assert wrong_field({**SOUND, **changes}) == field
    if "x" * 5_000 in str(changes) or "_at" in str(changes):
        return  # a schema counts no bytes, and leaves times to a checker that isn't installed
    with pytest.raises(jsonschema.ValidationError):
        CHECKER.validate({**SOUND, **changes})


@pytest.mark.parametrize("data", [None, "x", [], 5])
def test_data_has_to_be_an_object(data: Any) -> None:
    assert wrong_field(data) == "data"


def test_a_wrong_time_of_the_event_is_told_as_the_event_s() -> None:
    assert wrong_field(SOUND, time="noon") == "time"


def test_broken_characters_lose_no_notice() -> None:
    found = read(
        {**SOUND, "labels": {"a": "\ud800\0"}, "links": ["https://x/\ud800"]}, source="/\ud800"
    )
    assert found.labels == {"a": "\ufffd\ufffd"}
    assert found.links == ("https://x/\ufffd",)
