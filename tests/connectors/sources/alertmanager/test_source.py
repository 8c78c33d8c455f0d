"""The Alertmanager source: both body forms, every wrong field, times, labels, speed."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sources.alertmanager import AlertmanagerConfig, AlertmanagerSource
from engine.core.alert import Alert, fingerprint_of, receive
from engine.errors import PayloadError
from engine.ports.payload import LabelNames
from engine.ports.source import Sender

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
LABELS = {"alertname": "LLMEndpointDown", "service": "llm-70b", "instance": "gpu-07:9100"}
ZERO = "0001-01-01T00:00:00Z"
SOURCE = AlertmanagerSource(AlertmanagerConfig())


def webhook_alert(**changes: Any) -> dict[str, Any]:
    alert: dict[str, Any] = {
        "status": "firing",
        "labels": dict(LABELS),
        "annotations": {"summary": "no answer", "runbook_url": "https://wiki.example/llm"},
        "startsAt": "2026-03-01T11:58:00.123456789Z",
        "endsAt": ZERO,
        "generatorURL": "http://prometheus.example/graph?g0.expr=up",
        "fingerprint": "a1b2c3d4e5f60718",
    }
    alert.update(changes)
    return {key: value for key, value in alert.items() if value is not ...}


def webhook(*alerts: Any, **changes: Any) -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": '{}:{alertname="LLMEndpointDown"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "quell",
        "groupLabels": {"alertname": "LLMEndpointDown"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
        "alerts": list(alerts),
        **changes,
    }


def only(body: Any, form: str = "") -> Alert:
    parsed = SOURCE.parse(body, NOW, Sender(form=form))
    assert not parsed.rejected
    [alert] = parsed.alerts
    return alert


def test_a_webhook_alert_is_normalised() -> None:
    alert = only(webhook(webhook_alert(labels=LABELS | {"severity": "page", "env": "production"})))
    labels = LABELS | {"severity": "page", "env": "production"}
    assert alert == Alert(
        fingerprint=fingerprint_of("alertmanager", labels),
        source="alertmanager",
        name="LLMEndpointDown",
        status="firing",
        labels=labels,
        annotations={"summary": "no answer", "runbook_url": "https://wiki.example/llm"},
        starts_at=datetime(2026, 3, 1, 11, 58, 0, 123456, tzinfo=UTC),
        ends_at=None,
        received_at=NOW,
        service="llm-70b",
        resource="gpu-07:9100",
        target="gpu-07:9100",
        environment="production",
        severity_hint="critical",
        links=("http://prometheus.example/graph?g0.expr=up", "https://wiki.example/llm"),
    )


def test_the_status_of_each_alert_counts_not_that_of_its_group() -> None:
    body = webhook(
        webhook_alert(labels=LABELS | {"gpu": "0"}),
        webhook_alert(
            labels=LABELS | {"gpu": "1"}, status="resolved", endsAt="2026-03-01T11:59:00+01:00"
        ),
        status="firing",
    )
    firing, resolved = SOURCE.parse(body, NOW).alerts
    assert (firing.status, firing.ends_at, firing.expires_at) == ("firing", None, None)
    assert resolved.status == "resolved"
    assert resolved.ends_at == datetime(2026, 3, 1, 10, 59, tzinfo=UTC)


# What each form makes of each endsAt: (form, status, endsAt) -> (status, ends_at, expires_at).
PAST, FUTURE = "2026-03-01T11:59:59Z", "2026-03-01T12:04:00Z"
PAST_AT, FUTURE_AT = NOW - timedelta(seconds=1), NOW + timedelta(minutes=4)
TIMEOUT_AT = NOW + timedelta(minutes=5)
ENDS = [
    pytest.param("webhook", "firing", ZERO, "firing", None, None, id="webhook firing, year 1"),
    pytest.param("webhook", "firing", ..., "firing", None, None, id="webhook firing, absent"),
    pytest.param("webhook", "firing", PAST, "firing", None, None, id="webhook firing, past"),
    pytest.param("webhook", "firing", FUTURE, "firing", None, None, id="webhook firing, future"),
    pytest.param("webhook", "resolved", PAST, "resolved", PAST_AT, None, id="webhook resolved"),
    pytest.param(
        "webhook", "resolved", ZERO, "resolved", None, None, id="webhook resolved, year 1"
    ),
    pytest.param(
        "webhook", "resolved", FUTURE, "resolved", FUTURE_AT, None, id="webhook resolved, ahead"
    ),
    pytest.param("api", ..., PAST, "resolved", PAST_AT, None, id="API, past: resolved"),
    pytest.param(
        "api", ..., "2026-03-01T12:00:00Z", "resolved", NOW, None, id="API, now: resolved"
    ),
    pytest.param("api", ..., FUTURE, "firing", None, FUTURE_AT, id="API, future: an expiry"),
    pytest.param("api", ..., ZERO, "firing", None, TIMEOUT_AT, id="API, year 1: resolve timeout"),
    pytest.param("api", ..., ..., "firing", None, TIMEOUT_AT, id="API, absent: resolve timeout"),
    pytest.param("api", ..., None, "firing", None, TIMEOUT_AT, id="API, null: resolve timeout"),
    pytest.param("api", ..., "", "firing", None, TIMEOUT_AT, id="API, empty: resolve timeout"),
    pytest.param("api", "resolved", FUTURE, "firing", None, FUTURE_AT, id="API has no status"),
]


@pytest.mark.parametrize(("form", "said", "ends", "status", "ends_at", "expires_at"), ENDS)
def test_what_an_end_means(
    form: str, said: Any, ends: Any, status: str, ends_at: Any, expires_at: Any
) -> None:
    raw = webhook_alert(status=said, endsAt=ends)
    alert = only([raw], "api") if form == "api" else only(webhook(raw))
    assert (alert.status, alert.ends_at, alert.expires_at) == (status, ends_at, expires_at)


STARTS = [
    pytest.param("2026-03-01T11:58:00Z", datetime(2026, 3, 1, 11, 58, tzinfo=UTC), id="plain"),
    pytest.param(
        "2026-03-01t11:58:00.1z",
        datetime(2026, 3, 1, 11, 58, 0, 100000, tzinfo=UTC),
        id="one digit",
    ),
    pytest.param(
        "2026-03-01T13:28:00.123456789+01:30",
        datetime(2026, 3, 1, 11, 58, 0, 123456, tzinfo=UTC),
        id="nanoseconds and an offset",
    ),
    pytest.param(
        "2026-03-01T11:58:00.12345678901234567890-00:00",
        datetime(2026, 3, 1, 11, 58, 0, 123456, tzinfo=UTC),
        id="twenty digits",
    ),
    pytest.param(ZERO, NOW, id="year 1: when it came"),
    pytest.param("0001-01-01T00:00:00.000+02:00", NOW, id="year 1 ahead of UTC"),
    pytest.param(..., NOW, id="absent: when it came"),
    pytest.param(None, NOW, id="null: when it came"),
]


@pytest.mark.parametrize(("said", "starts_at"), STARTS)
def test_a_start_is_read_in_utc(said: Any, starts_at: datetime) -> None:
    assert only(webhook(webhook_alert(startsAt=said))).starts_at == starts_at


WRONG = [
    pytest.param(7, "", "expected an object, got the number 7", id="a number for an alert"),
    pytest.param(None, "", "expected an object, got nothing", id="null for an alert"),
    pytest.param({}, "labels", "expected an object of strings, got nothing", id="no labels"),
    pytest.param({"labels": {}}, "labels", "no label has a value", id="an empty label set"),
    pytest.param({"labels": {"a": ""}}, "labels", "no label has a value", id="only empty labels"),
    pytest.param({"labels": {"": "x"}}, "labels", "'x' has no name", id="a nameless label"),
    pytest.param({"labels": []}, "labels", "got a list", id="a list for labels"),
    pytest.param(
        {"labels": {"severity": 1}}, "labels.severity", "the number 1", id="a number for a label"
    ),
    pytest.param({"labels": {"a": None}}, "labels.a", "got nothing", id="null for a label"),
    pytest.param({"labels": {"a": True}}, "labels.a", "got true", id="a boolean for a label"),
    pytest.param({"labels": {"a": {"b": 1}}}, "labels.a", "an object", id="an object for a label"),
    pytest.param({"labels": {"a": "x" * 5000}}, "labels.a", "5000 bytes", id="a huge label"),
    pytest.param({"startsAt": f"2026-03-01T00:00:00.{'1' * 99}Z"}, "startsAt", "time", id="digits"),
    pytest.param({"annotations": "x"}, "annotations", "got 'x'", id="text for annotations"),
    pytest.param({"annotations": 0}, "annotations", "number 0", id="a falsy wrong annotations"),
    pytest.param({"annotations": {"a": 1.5}}, "annotations.a", "1.5", id="a float annotation"),
    pytest.param({"startsAt": 1700000000}, "startsAt", "number 1700000000", id="epoch seconds"),
    pytest.param({"startsAt": "yesterday"}, "startsAt", "got 'yesterday'", id="a word for a time"),
    pytest.param({"startsAt": "2026-03-01T11:58:00"}, "startsAt", "time like", id="no offset"),
    pytest.param({"startsAt": "2026-03-01"}, "startsAt", "time like", id="a date alone"),
    pytest.param({"startsAt": "2026-02-30T00:00:00Z"}, "startsAt", "time like", id="30 February"),
    pytest.param({"startsAt": "٢٠٢٦-03-01T00:00:00Z"}, "startsAt", "time", id="other digits"),
    pytest.param({"startsAt": "2026-03-01T00:00:00+99:00"}, "startsAt", "time", id="wild offset"),
    pytest.param({"endsAt": "9999-12-31T23:00:00-05:00"}, "endsAt", "time", id="after year 9999"),
    pytest.param({"endsAt": False}, "endsAt", "got false", id="a boolean for a time"),
    pytest.param({"generatorURL": ["x"]}, "generatorURL", "a list", id="a list for a link"),
]


@pytest.mark.parametrize("form", ["webhook", "api"])
@pytest.mark.parametrize(("wrong", "field", "problem"), WRONG)
def test_a_wrong_alert_is_rejected_with_its_path_and_loses_no_neighbour(
    form: str, wrong: Any, field: str, problem: str
) -> None:
    raw = {"labels": LABELS, "status": "firing"} | wrong if wrong and field else wrong
    good = [webhook_alert(labels=LABELS | {"gpu": str(n)}) for n in range(3)]
    alerts = [*good[:2], raw, good[2]]
    parsed = SOURCE.parse(alerts if form == "api" else webhook(*alerts), NOW)
    assert [alert.labels["gpu"] for alert in parsed.alerts] == ["0", "1", "2"]
    [rejected] = parsed.rejected
    path = ("[2]" if form == "api" else "alerts[2]") + (f".{field}" if field else "")
    assert (rejected.index, rejected.field) == (2, path)
    assert problem in rejected.problem
    assert json.loads(rejected.raw) == raw


@pytest.mark.parametrize("status", [..., None, "", "Firing", "pending", 1])
def test_a_webhook_alert_needs_a_status_that_says_what_it_is(status: Any) -> None:
    [rejected] = SOURCE.parse(webhook(webhook_alert(status=status)), NOW).rejected
    assert rejected.field == "alerts[0].status"
    assert "'firing' or 'resolved'" in rejected.problem


BODIES = [
    pytest.param(None, "", "", id="null"),
    pytest.param("alerts", "", "", id="text"),
    pytest.param({}, "alerts", "", id="no alerts"),
    pytest.param({"alerts": {}}, "alerts", "", id="an object for the alerts"),
    pytest.param(webhook(webhook_alert()), "", "api", id="a webhook's body at the API"),
]


@pytest.mark.parametrize(("body", "field", "form"), BODIES)
def test_a_body_of_another_shape_is_a_payload_error(body: Any, field: str, form: str) -> None:
    with pytest.raises(PayloadError) as caught:
        SOURCE.parse(body, NOW, Sender(form=form))
    assert caught.value.field == field


def test_unknown_fields_are_ignored() -> None:
    body = webhook(
        webhook_alert(routeLabels={"a": 1}, value=3.5), notification_reason="new", routeLabels=[1]
    )
    assert only(body) == only(webhook(webhook_alert()))


def test_truncated_alerts_are_counted_and_those_sent_are_kept() -> None:
    parsed = SOURCE.parse(webhook(webhook_alert(), truncatedAlerts=12), NOW)
    assert (len(parsed.alerts), parsed.truncated, list(parsed.rejected)) == (1, 12, [])


@pytest.mark.parametrize("count", ["3", -1, True, 1.0, 2**40, []])
def test_a_wrong_truncated_count_is_rejected_alone(count: Any) -> None:
    parsed = SOURCE.parse(webhook(webhook_alert(), truncatedAlerts=count), NOW)
    assert (len(parsed.alerts), parsed.truncated) == (1, 0)
    [rejected] = parsed.rejected
    assert (rejected.index, rejected.field) == (-1, "truncatedAlerts")


def test_an_ha_pair_of_prometheis_makes_one_occurrence() -> None:
    first = only(webhook(webhook_alert(startsAt="2026-03-01T11:58:00.1Z")))
    second = only(webhook(webhook_alert(startsAt="2026-03-01T11:57:48Z")))
    opened = receive(first, None).occurrence
    notice = receive(second, opened)
    assert (notice.effect, notice.occurrence.id) == ("repeat", opened.id)
    assert notice.occurrence.started_at == second.starts_at


def test_two_sources_have_different_fingerprints_for_the_same_labels() -> None:
    other = AlertmanagerSource(AlertmanagerConfig(name="am-berlin"))
    [alert] = other.parse(webhook(webhook_alert()), NOW).alerts
    assert alert.source == "am-berlin"
    assert alert.fingerprint != only(webhook(webhook_alert())).fingerprint


def test_an_empty_label_is_an_absent_label() -> None:
    alert = only(webhook(webhook_alert(labels=LABELS | {"team": "", "env": ""})))
    assert alert.fingerprint == only(webhook(webhook_alert())).fingerprint
    assert "team" not in alert.labels


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        pytest.param("a\ud800b", "a\ufffdb", id="a lone surrogate"),
        pytest.param("a\ud83d\ude00", "a\U0001f600", id="a pair in two halves"),
        pytest.param("a\0b", "a\ufffdb", id="a NUL"),
        pytest.param("größe", "größe", id="other text"),
    ],
)
def test_characters_that_no_store_holds_are_replaced(said: str, kept: str) -> None:
    alert = only(
        webhook(webhook_alert(labels=LABELS | {"x": said, said: "y"}, annotations={"n": said}))
    )
    assert (alert.labels["x"], alert.labels[kept], alert.annotations["n"]) == (kept, "y", kept)
    assert json.dumps(dict(alert.labels), ensure_ascii=False).encode()


def test_templates_and_commands_in_annotations_stay_text() -> None:
    hostile = {"a": "{{ 7*7 }}", "b": "; rm -rf /", "c": "${{ secrets.token }}"}
    assert only(webhook(webhook_alert(annotations=hostile))).annotations == hostile


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", ""])
def test_only_web_addresses_become_links(url: str) -> None:
    assert only(webhook(webhook_alert(generatorURL=url, annotations=None))).links == ()


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        *((word, "critical") for word in ("critical", "CRITICAL", "page", "P1", "emergency")),
        *((word, "error") for word in ("error", "high", "major")),
        *((word, "warning") for word in ("warning", "Warn", "minor")),
        *((word, "info") for word in ("info", "notice", "low")),
        ("sev-banana", ""),
    ],
)
def test_the_severity_label_is_a_hint(said: str, hint: str) -> None:
    alert = only(webhook(webhook_alert(labels=LABELS | {"severity": said})))
    assert alert.severity_hint == hint


def test_the_first_label_of_a_list_fills_a_field_and_the_lists_can_be_set() -> None:
    labels = {"job": "vllm", "svc": "chat", "node": "n1", "tenant": "acme", "region": "fra"}
    default = only(webhook(webhook_alert(labels=labels)))
    assert (default.service, default.target, default.resource) == ("vllm", "n1", "n1")
    assert (default.customer, default.region, default.team) == ("acme", "fra", "")
    names = LabelNames(service=("svc", "job"))
    other = AlertmanagerSource(AlertmanagerConfig(labels=names))
    assert other.parse(webhook(webhook_alert(labels=labels)), NOW).alerts[0].service == "chat"


def test_amtool_s_body_is_understood() -> None:
    body = [
        {
            "annotations": {"summary": "hi"},
            "endsAt": "0001-01-01T00:00:00.000Z",
            "startsAt": "0001-01-01T00:00:00.000Z",
            "labels": {"alertname": "Foo", "instance": "gpu-07:9100", "severity": "critical"},
        }
    ]
    alert = only(body, "api")
    assert (alert.name, alert.starts_at, alert.expires_at) == ("Foo", NOW, TIMEOUT_AT)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint")
odd_alerts = json_values | st.dictionaries(st.sampled_from(FIELDS), json_values)


@given(st.lists(odd_alerts, max_size=5), st.sampled_from(["webhook", "api"]))
def test_every_alert_is_taken_or_rejected_and_neighbours_survive(odd: list[Any], form: str) -> None:
    alerts = [webhook_alert(), *odd, webhook_alert()]
    parsed = SOURCE.parse(alerts if form == "api" else webhook(*alerts), NOW)
    assert len(parsed.alerts) + len(parsed.rejected) == len(alerts)
    refused = {rejected.index for rejected in parsed.rejected}
    assert not {0, len(alerts) - 1} & refused
    for alert in parsed.alerts:
        json.dumps([dict(alert.labels), dict(alert.annotations)], ensure_ascii=False).encode()
    for rejected in parsed.rejected:
        json.dumps([rejected.field, rejected.problem], ensure_ascii=False).encode()


@given(json_values, st.sampled_from(["", "api"]))
def test_no_body_raises_anything_but_a_payload_error(body: Any, form: str) -> None:
    try:
        SOURCE.parse(body, NOW, Sender(form=form))
    except PayloadError as error:
        assert error.problem


def test_ten_thousand_alerts_take_about_a_second_at_most_and_share_their_texts() -> None:
    alerts = [
        webhook_alert(
            labels=LABELS
            | {"instance": f"gpu-{n}:9100", "model": "llama-70b", "env": "production"},
            annotations={"summary": f"gpu-{n} does not answer", "description": "x" * 200},
        )
        for n in range(10_000)
    ]
    body = json.loads(json.dumps(webhook(*alerts)))
    started = time.process_time()
    parsed = SOURCE.parse(body, NOW)
    took_s = time.process_time() - started
    assert len({alert.fingerprint for alert in parsed.alerts}) == 10_000
    assert parsed.alerts[0].labels["model"] is parsed.alerts[-1].labels["model"]
    assert took_s < 1.5
