"""Grafana's notifications: what each field means, no data and errors, and who gets in."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.sources.grafana import GrafanaConfig, GrafanaSource
from connectors.sources.grafana.source import GrafanaHmac
from engine.core.alert import Alert, receive
from engine.errors import PayloadError
from engine.ports.source import Rejected, Sender
from tests.connectors.sources.grafana.case import CASE, GRAFANA, alert, notification
from tests.contracts.source_case import NOW, admission
from tests.services.signed_bodies import signed_by

SOURCE = GrafanaSource(GrafanaConfig())
SOUND = alert(7, "firing", NOW - timedelta(minutes=5), "0001-01-01T00:00:00Z")


def read(**changes: Any) -> Alert:
    (found,) = SOURCE.parse(notification({**SOUND, **changes}), NOW).alerts
    return found


def rejected(raw: Any) -> Rejected:
    parsed = SOURCE.parse(notification(SOUND, raw), NOW)
    assert len(parsed.alerts) == 1
    (found,) = parsed.rejected
    return found


def test_every_field_has_its_place() -> None:
    found = read()
    assert (found.name, found.status) == ("GPU memory high", "firing")
    assert (found.starts_at, found.ends_at) == (NOW - timedelta(minutes=5), None)
    assert (found.service, found.target) == ("llm-70b", "gpu-07:9100")
    assert found.severity_hint == "critical"
    assert found.annotations["values"] == "B=97.25, C=1"
    assert found.links == (
        "https://runbooks.example/gpu",
        f"{GRAFANA}/d/abc?viewPanel=2",
        f"{GRAFANA}/d/abc?from=1&orgId=1",
        f"{GRAFANA}/alerting/grafana/cdeqmlhvflz40f/view?orgId=1",
        f"{GRAFANA}/alerting/silence/new?alertmanager=grafana",
    )


def test_the_end_of_a_firing_alert_binds_nobody() -> None:
    assert read(endsAt="2026-03-01T12:04:00Z").ends_at is None
    ended = read(status="resolved", endsAt="2026-03-01T11:59:00Z")
    assert ended.ends_at == datetime(2026, 3, 1, 11, 59, tzinfo=UTC)


def test_labels_identify_it_without_private_and_empty_ones() -> None:
    more = {**SOUND["labels"], "__alert_rule_uid__": "x", "empty": ""}
    assert read(labels=more).fingerprint == read().fingerprint
    assert read(labels=more).labels == SOUND["labels"]
    assert read(values=None, annotations={}, status="resolved").fingerprint == read().fingerprint
    assert read(labels={**SOUND["labels"], "x": "1"}).fingerprint != read().fingerprint


def test_no_data_is_an_alert_of_its_own_with_the_rule_s_name() -> None:
    labels = {
        "alertname": "DatasourceNoData",
        "rulename": "GPU memory high",
        "datasource_uid": "prometheus",
        "ref_id": "A",
        "grafana_folder": "llm",
    }
    found = read(labels=labels, values=None, valueString="")
    assert (found.name, found.labels["rulename"]) == ("DatasourceNoData", "GPU memory high")
    assert "values" not in found.annotations
    assert found.fingerprint != read().fingerprint


def test_a_reason_for_a_state_is_kept_as_sent() -> None:
    reason = {"grafana_state_reason": "MissingSeries"}
    found = read(status="resolved", annotations=reason, values=None)
    assert (found.status, found.annotations) == ("resolved", reason)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"A": 1.5e9, "B0": -0.25}, "A=1.5e+09, B0=-0.25"),
        ({"A": None, "B": True, "C": "x", "D": 2}, "D=2"),
        ({}, None),
        (None, None),
        ([1], None),
    ],
)
def test_values_are_told_where_there_are_some(values: Any, told: str | None) -> None:
    assert read(values=values).annotations.get("values") == told


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"status": "Alerting"}, "alerts[1].status"),
        ({"labels": None}, "alerts[1].labels"),
        ({"labels": {"__private__": "x"}}, "alerts[1].labels"),
        ({"labels": {"a": 1}}, "alerts[1].labels.a"),
        ({"annotations": []}, "alerts[1].annotations"),
        ({"startsAt": "now"}, "alerts[1].startsAt"),
        ({"endsAt": 5}, "alerts[1].endsAt"),
        ({"generatorURL": 5}, "alerts[1].generatorURL"),
        ({"panelURL": {}}, "alerts[1].panelURL"),
        ({"labels": {"a": "x" * 5_000}}, "alerts[1].labels.a"),
    ],
)
def test_a_wrong_alert_is_rejected_alone(changes: Mapping[str, Any], where: str) -> None:
    found = rejected({**SOUND, **changes})
    assert (found.index, found.field) == (1, where)


def test_what_is_no_object_is_told_by_its_place() -> None:
    assert rejected(None).field == "alerts[1]"


@pytest.mark.parametrize("truncated", [7, None, -1, True, "7", 1e3, 2**40])
def test_what_was_left_out_is_counted(truncated: Any) -> None:
    body = {**notification(SOUND), "truncatedAlerts": truncated}
    assert SOURCE.parse(body, NOW).truncated == (7 if truncated == 7 else 0)


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"alerts": {}},
        {"ruleId": 0, "ruleName": "Test notification", "state": "alerting", "evalMatches": []},
        "x",
        None,
    ],
    ids=str,
)
def test_another_payload_is_refused(body: Any) -> None:
    with pytest.raises(PayloadError, match="expected"):
        SOURCE.parse(body, NOW)


async def test_a_signature_with_a_time_is_grafana_s() -> None:
    """As http/hmac.go of github.com/grafana/alerting writes it: hex, over `seconds:body`."""
    hmac = GrafanaHmac(secrets=(SecretStr("s"),), timestamp_header="X-Grafana-Timestamp")
    source = GrafanaSource(GrafanaConfig(hmac=hmac))
    headers, body = signed_by(
        "s", header="x-grafana-alerting-signature", timestamp_header="x-grafana-timestamp"
    )(b"{}")
    assert (await admission(source, headers, body)).outcome == "admitted"
    late = await source.admit_body(Sender(headers), body, NOW + timedelta(minutes=6))
    assert late.outcome == "denied"


async def test_a_token_lets_in_where_there_is_no_signature() -> None:
    source = GrafanaSource(GrafanaConfig(bearer=(SecretStr("t"),)))
    assert (await admission(source, {"authorization": "Bearer t"}, b"")).outcome == "admitted"
    signed, body = CASE.signed(b"{}")
    assert (await admission(source, signed, body)).outcome == "denied"
    assert not SOURCE.has_credentials


async def test_without_an_api_the_last_notice_counts() -> None:
    occurrence = receive(read(), None).occurrence
    for after, answer in ((timedelta(hours=4), "firing"), (timedelta(hours=6), "cannot_tell")):
        told = await SOURCE.still_firing(occurrence, NOW + after)
        assert (told.answer, told.basis) == (answer, "last notice")
