"""Notices on the wire: CloudEvents of the published shape, alone or in a batch."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import jsonschema

from engine.client.reporting.events import NOTICE_SCHEMA, encoded, event
from engine.client.reporting.judging import Notice
from tests.doubles.notice_receiver import SCHEMA, check

AT = datetime(2026, 11, 1, 12, 0, 0, 5, tzinfo=UTC)
FIRING = Notice(
    status="firing",
    name="ModelCallsFailing",
    labels={"app": "checkout", "model": "gpt-4o"},
    annotations={"summary": "gpt-4o: 10 of 40 calls failed in 120 s"},
    severity_hint="error",
    at=AT,
    starts_at=AT - timedelta(minutes=1),
    expires_at=AT + timedelta(minutes=4),
)
RESOLVED = replace(FIRING, status="resolved", expires_at=None, ends_at=AT)
SOURCE = "/apps/checkout"


def test_the_published_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == NOTICE_SCHEMA


def test_an_event_has_the_published_shape() -> None:
    told = event(FIRING, SOURCE)
    check(told)
    assert {name: value for name, value in told.items() if name not in ("id", "data")} == {
        "specversion": "1.0",
        "source": "/apps/checkout",
        "type": "quell.notice.v1",
        "subject": "ModelCallsFailing",
        "time": "2026-11-01T12:00:00.000005Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:quell:schema:notice:v1",
    }
    assert told["data"] == {
        "status": "firing",
        "name": "ModelCallsFailing",
        "labels": {"app": "checkout", "model": "gpt-4o"},
        "annotations": {"summary": "gpt-4o: 10 of 40 calls failed in 120 s"},
        "starts_at": "2026-11-01T11:59:00.000005Z",
        "severity_hint": "error",
        "expires_at": "2026-11-01T12:04:00.000005Z",
    }


def test_an_end_has_an_end_and_no_expiry() -> None:
    told = event(RESOLVED, SOURCE)
    check(told)
    assert told["data"]["ends_at"] == "2026-11-01T12:00:00.000005Z"
    assert "expires_at" not in told["data"]


def test_every_member_that_is_sent_is_published() -> None:
    sent = {*event(FIRING, SOURCE)["data"], *event(RESOLVED, SOURCE)["data"]}
    assert sent <= set(SCHEMA["properties"])


def test_an_id_is_kept_when_it_is_sent_again_and_else_its_own() -> None:
    others = (
        replace(FIRING, at=AT + timedelta(microseconds=1)),
        replace(FIRING, name="ModelCallsSlow"),
        replace(FIRING, labels={"app": "checkout", "model": "o3"}),
    )
    ids = {event(each, SOURCE)["id"] for each in (FIRING, replace(FIRING), *others)}
    assert len(ids) == 4
    assert event(FIRING, "/apps/other")["id"] not in ids


def test_a_time_of_another_zone_is_told_in_utc() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert event(replace(FIRING, at=elsewhere), SOURCE)["time"] == "2026-11-01T12:00:00.000005Z"


def test_one_goes_alone_and_several_in_a_batch() -> None:
    content_type, body = encoded([FIRING], SOURCE)
    assert content_type == "application/cloudevents+json"
    assert json.loads(body) == event(FIRING, SOURCE)
    content_type, body = encoded([FIRING, RESOLVED], SOURCE)
    assert content_type == "application/cloudevents-batch+json"
    assert json.loads(body) == [event(FIRING, SOURCE), event(RESOLVED, SOURCE)]
