"""What a notification means: states, times, tests, envelopes, wrong members, order."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sources.cloud_monitoring.config import GoogleLabelNames
from connectors.sources.cloud_monitoring.notification import LONG_AGO, Reader, seconds_in
from engine.core.alert import Alert, Occurrence, receive
from engine.errors import PayloadError
from engine.ports.payload import WrongField
from tests.connectors.sources.cloud_monitoring.payloads import (
    BEGAN,
    BEGAN_AT,
    ENDED,
    ENDED_AT,
    OPEN,
    TEST,
    UPTIME,
    closed,
    opened,
    wrapped,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
LASTS = timedelta(hours=4)
READER = Reader("gcp", GoogleLabelNames(), LASTS)
LOG_MATCH = {"condition": {"conditionMatchedLog": {"filter": "severity=ERROR"}}}


def only(body: Any, at: datetime = NOW) -> Alert:
    [alert] = READER.read(body, at).alerts
    return alert


def fold(*notices: tuple[Any, datetime]) -> tuple[Sequence[str], Occurrence]:
    """The effects of bodies received one after the other, and what is left."""
    current: Occurrence | None = None
    effects = []
    for body, at in notices:
        notice = receive(only(body, at), current)
        effects.append(notice.effect)
        current = notice.occurrence
    assert current is not None
    return effects, current


def test_an_open_incident_fires() -> None:
    alert = only(OPEN)
    assert (alert.source, alert.name, alert.status) == ("gcp", "Endpoint fails", "firing")
    assert (alert.starts_at, alert.ends_at, alert.event_at) == (BEGAN, None, BEGAN)
    assert (alert.expires_at, alert.received_at) == (None, NOW)
    assert (alert.service, alert.target, alert.resource) == ("llm-70b", "llama-a", "4242")
    assert (alert.team, alert.region, alert.customer) == ("inference", "eu", "acme")
    assert alert.severity_hint == "critical"
    assert alert.annotations == {
        "summary": "Error count for acme-prod llama-a is above the threshold of 0.050.",
        "documentation": "See the runbook.",
        "subject": "[ALERT - Critical] Endpoint fails",
        "observed_value": "0.790",
        "threshold_value": "0.05",
        "query": 'resource.type = "aiplatform.googleapis.com/Endpoint"',
    }
    assert alert.links == (OPEN["incident"]["url"], "https://wiki.example/endpoint")


def test_a_closed_one_is_resolved_by_its_own_time() -> None:
    alert = only(closed())
    assert (alert.status, alert.starts_at) == ("resolved", BEGAN)
    assert (alert.ends_at, alert.event_at) == (ENDED, ENDED)
    assert alert.fingerprint == only(OPEN).fingerprint


def test_an_uptime_check_s_old_notice_is_understood() -> None:
    alert = only(UPTIME)
    assert (alert.name, alert.target, alert.resource) == (
        "chat is up",
        "chat.example",
        "chat.example",
    )
    assert (alert.service, alert.severity_hint, alert.starts_at) == ("", "", BEGAN)
    assert alert.region == ""


STATES = [
    *((word, "firing") for word in ("open", "OPEN", "Open", "acknowledged", "ACKNOWLEDGED")),
    *((word, "resolved") for word in ("closed", "CLOSED", "Closed")),
]


@pytest.mark.parametrize(("said", "status"), STATES)
def test_a_state_is_read_in_any_case(said: str, status: str) -> None:
    assert only(closed(state=said)).status == status


@pytest.mark.parametrize("documentation", ["Read this", {"content": "Read this"}])
def test_documentation_is_a_text_or_an_object(documentation: Any) -> None:
    assert only(opened(documentation=documentation)).annotations["documentation"] == "Read this"


@pytest.mark.parametrize("documentation", [None, ..., "", {}, {"content": "", "links": 3}])
def test_documentation_may_be_missing(documentation: Any) -> None:
    alert = only(opened(documentation=documentation))
    assert "documentation" not in alert.annotations
    assert alert.links == (OPEN["incident"]["url"],)


SECONDS = [
    (BEGAN_AT, BEGAN),
    (float(BEGAN_AT), BEGAN),
    (str(BEGAN_AT), BEGAN),
    (f"{BEGAN_AT}.5", BEGAN + timedelta(seconds=0.5)),
    (BEGAN.isoformat(), BEGAN),
    (BEGAN.isoformat().replace("+00:00", "Z").lower(), BEGAN),
    *((absent, None) for absent in (0, 0.0, "0", "", None)),
]


@pytest.mark.parametrize(("said", "at"), SECONDS, ids=str)
def test_seconds_are_read_as_numbers_and_as_texts(said: Any, at: datetime | None) -> None:
    assert seconds_in({"started_at": said}, "started_at") == at


@pytest.mark.parametrize(
    "said",
    [
        True,
        -1,
        253_402_300_799,
        10**17,
        1e300,
        "2300-01-01T00:00:00Z",
        "soon",
        "NaN",
        "inf",
        "2026-03-01T12",
        [],
        {},
    ],
    ids=str,
)
def test_what_is_no_time_is_told(said: Any) -> None:
    with pytest.raises(WrongField, match="expected seconds since 1970") as wrong:
        seconds_in({"started_at": said}, "started_at")
    assert wrong.value.field == "started_at"


def test_a_notice_without_times_still_counts_and_never_comes_after_the_end() -> None:
    without = opened(started_at=...)
    alert = only(without)
    assert (alert.starts_at, alert.event_at) == (NOW, LONG_AGO)
    late = NOW + timedelta(minutes=5)
    effects, left = fold((without, NOW), (closed(started_at=...), late), (without, late))
    assert (effects, left.ended_at) == (["opened", "resolved", "stale"], ENDED)
    alert = only(closed(ended_at=None))
    assert (alert.starts_at, alert.ends_at, alert.event_at) == (BEGAN, NOW, NOW)


def test_an_incident_that_closed_in_the_second_it_opened_is_closed() -> None:
    gone = closed(ended_at=BEGAN_AT)
    assert fold((OPEN, NOW), (gone, NOW))[0] == ["opened", "resolved"]
    effects, left = fold((gone, NOW), (OPEN, NOW))
    assert (effects, left.is_open) == (["stale", "stale"], False)


@pytest.mark.parametrize(
    "after",
    [timedelta(seconds=1), timedelta(minutes=4), timedelta(minutes=6), timedelta(hours=1)],
    ids=str,
)
def test_a_replay_changes_nothing(after: timedelta) -> None:
    later = NOW + after
    again = {**OPEN, "incident": {**OPEN["incident"], "renotify": True}}
    for body in (OPEN, again):
        effects, left = fold((OPEN, NOW), (body, later))
        _, before = fold((OPEN, NOW))
        assert effects == ["opened", "repeat"]
        assert (left.id, left.started_at) == (before.id, before.started_at)
        assert (left.last_notice_at, left.expires_at) == (before.last_notice_at, None)
    _, ended = fold((OPEN, NOW), (closed(), NOW))
    effects, left = fold((OPEN, NOW), (closed(), NOW), (OPEN, later), (closed(), later))
    assert effects == ["opened", "resolved", "stale", "stale"]
    assert left == ended
    logged = opened(**LOG_MATCH)
    effects, left = fold((logged, NOW), (logged, later))
    assert (effects, left.expires_at) == (["opened", "repeat"], BEGAN + LASTS)


def test_a_log_match_is_never_told_to_end_so_it_lasts() -> None:
    alert = only(opened(**LOG_MATCH))
    assert (alert.status, alert.expires_at) == ("firing", BEGAN + LASTS)
    delayed = BEGAN + timedelta(hours=9)
    assert only(opened(**LOG_MATCH), delayed).expires_at == delayed + LASTS
    effects, left = fold((opened(**LOG_MATCH), NOW), (closed(**LOG_MATCH), NOW))
    assert (effects, left.is_open) == (["opened", "resolved"], False)


@pytest.mark.parametrize("version", ["test", "TEST"])
def test_a_test_is_an_alert_that_has_ended_already(version: str) -> None:
    alert = only({**TEST, "version": version})
    assert (alert.status, alert.starts_at, alert.ends_at) == ("resolved", NOW, NOW)
    assert (alert.labels["test"], alert.severity_hint) == ("true", "info")
    effects, left = fold((TEST, NOW), (TEST, NOW + timedelta(hours=1)))
    assert (effects, left.is_open) == (["stale", "stale"], False), "nothing opens, so nothing runs"


def test_a_test_says_nothing_of_a_real_incident_with_its_id() -> None:
    real = opened(incident_id="12345")
    assert only(real).fingerprint != only(TEST).fingerprint
    assert only(wrapped(TEST)).status == "resolved"


@pytest.mark.parametrize("version", ["1.2", "1.3", 1.2, None, ...])
def test_any_other_version_is_taken_by_what_it_says(version: Any) -> None:
    body = {name: value for name, value in {**OPEN, "version": version}.items() if value is not ...}
    assert only(body) == only(OPEN)


def test_an_envelope_changes_nothing() -> None:
    assert only(wrapped(OPEN)) == only(OPEN)
    assert only(wrapped(OPEN, attributes=..., publishTime=...)) == only(OPEN)


ERROR_REPORTING = {"version": "1.0", "subject": "new", "group_info": {}, "event_info": {}}
BODIES: Mapping[str, tuple[Any, str]] = {
    "null": (None, ""),
    "a list": ([], ""),
    "nothing": ({}, "incident"),
    "no object": ({"incident": "x"}, "incident"),
    "Error Reporting": (ERROR_REPORTING, ""),
    "Error Reporting by Pub/Sub": (wrapped(ERROR_REPORTING), "message.data"),
    "a message that is none": ({"message": "x"}, "message"),
    "attributes alone": (wrapped(OPEN, data=...), "message.data"),
    "empty data": (wrapped(OPEN, data=""), "message.data"),
    "data of another type": (wrapped(OPEN, data=3), "message.data"),
    "no Base64": (wrapped(OPEN, data="{}"), "message.data"),
    "Base64 beyond ASCII": (wrapped(OPEN, data="é"), "message.data"),
    "no JSON": (wrapped(b"{"), "message.data"),
    "no text": (wrapped(b"\xff"), "message.data"),
    "a key twice": (wrapped(b'{"incident": {}, "incident": {}}'), "message.data"),
    "NaN": (wrapped(b'{"incident": NaN}'), "message.data"),
    "deep": (wrapped(b"[" * 100_000), "message.data"),
    "a list inside": (wrapped([1]), "message.data"),
    "wrong inside": (wrapped(opened(state="odd")), "message.data.incident.state"),
    "no state": (opened(state=...), "incident.state"),
    "another state": (opened(state="snoozed"), "incident.state"),
    "a number for a state": (opened(state=1), "incident.state"),
    "an object for a state": (opened(state={}), "incident.state"),
    "no id": (opened(incident_id=...), "incident.incident_id"),
    "an empty id": (opened(incident_id=""), "incident.incident_id"),
    "an object for an id": (opened(incident_id={}), "incident.incident_id"),
    "a time that is none": (opened(started_at="soon"), "incident.started_at"),
    "an end that is none": (closed(ended_at=True), "incident.ended_at"),
    "an object for a summary": (opened(summary={}), "incident.summary"),
    "an object for a value": (opened(observed_value={}), "incident.observed_value"),
    "wrong documentation": (
        opened(documentation={"content": {}}),
        "incident.documentation.content",
    ),
    "a wrong label": (opened(metric={"labels": {"a": {}}}), "incident.metric.labels.a"),
    "a long name": (opened(policy_name="x" * 3000), "incident.name"),
    "too many labels": (
        opened(policy_user_labels={f"l{n}": "x" for n in range(200)}),
        "incident.labels",
    ),
}


@pytest.mark.parametrize(("body", "field"), BODIES.values(), ids=BODIES)
def test_what_is_not_understood_is_told_with_its_path(body: Any, field: str) -> None:
    if field == "incident.name":
        body["incident"]["condition_name"] = "y" * 3000
        assert only(body).name == "", "a text too long for a label is no name"
        return
    with pytest.raises(PayloadError) as wrong:
        READER.read(body, NOW)
    assert wrong.value.field == field
    assert wrong.value.problem


@pytest.mark.parametrize("url", ["javascript:alert(1)", 7, {}, None, ...])
def test_only_web_addresses_become_links(url: Any) -> None:
    assert only(opened(url=url, documentation=None)).links == ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(OPEN["incident"])), json_values)
def test_no_member_s_value_raises_anything_but_a_payload_error(member: str, value: Any) -> None:
    try:
        alert = only(opened(**{member: value}))
    except PayloadError as error:
        json.dumps([error.field, error.problem], ensure_ascii=False).encode()
        return
    json.dumps([dict(alert.labels), dict(alert.annotations)], ensure_ascii=False).encode()
    for at in (alert.starts_at, alert.ends_at, alert.event_at, alert.expires_at):
        assert at is None or at.tzinfo is UTC


def test_the_end_of_an_incident_is_not_before_its_start() -> None:
    assert only(closed(ended_at=BEGAN_AT - 5)).ends_at == BEGAN
    assert ENDED_AT > BEGAN_AT
