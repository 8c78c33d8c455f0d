"""What every source keeps: the suite of the Source port, over each implementation."""

import copy
import json
from collections.abc import Mapping
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.registry import SOURCES
from engine.errors import PayloadError
from engine.ports import strict_json
from tests.connectors.sources.alertmanager import case as alertmanager
from tests.connectors.sources.azure_monitor import case as azure_monitor
from tests.connectors.sources.cloud_monitoring import case as cloud_monitoring
from tests.connectors.sources.cloudevents import case as cloudevents
from tests.connectors.sources.cloudwatch import case as cloudwatch
from tests.connectors.sources.grafana import case as grafana
from tests.contracts.source_case import NOW, Case, admission

CASES: Mapping[str, Case] = {
    "alertmanager": alertmanager.CASE,
    "azure-monitor": azure_monitor.CASE,
    "cloudevents": cloudevents.CASE,
    "cloudevents, mapped": cloudevents.MAPPED,
    "grafana": grafana.CASE,
    "cloudwatch": cloudwatch.CASE,
    "cloud-monitoring webhook": cloud_monitoring.WEBHOOK,
    "cloud-monitoring push": cloud_monitoring.PUSH,
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@each_case
def test_a_source_is_what_its_configuration_calls_it(case: Case) -> None:
    source = case.make("first")
    assert source.name == "first"
    assert {alert.source for alert in source.parse(case.body, NOW).alerts} == {"first"}
    assert source.max_body_bytes == case.max_body_bytes


@each_case
async def test_a_true_sender_gets_in_and_nobody_else(case: Case) -> None:
    source = case.make("first")
    assert source.has_credentials
    headers, body = case.signed(json.dumps(case.body).encode())
    assert (await admission(source, headers, body)).outcome == "admitted"
    assert (await admission(source, {}, json.dumps(case.body).encode())).outcome == "denied"
    for name, value in headers.items():
        for wrong in (value[:-1], value + "x", ""):
            found = await admission(source, {**headers, name: wrong}, body)
            assert found.outcome == "denied", (name, wrong)


@each_case
def test_sound_alerts_are_stamped_and_in_utc(case: Case) -> None:
    parsed = case.make("first").parse(case.body, NOW)
    assert (len(parsed.alerts), list(parsed.rejected)) == (case.count, [])
    for alert in parsed.alerts:
        assert alert.received_at == NOW
        for at in (alert.starts_at, alert.ends_at, alert.event_at, alert.expires_at):
            assert at is None or at.tzinfo is UTC


BY_KIND: Mapping[str, Case] = {
    "alertmanager": alertmanager.CASE,
    "azure-monitor": azure_monitor.CASE,
    "cloud-monitoring": cloud_monitoring.WEBHOOK,
    "cloudevents": cloudevents.CASE,
    "cloudwatch": cloudwatch.CASE,
    "grafana": grafana.CASE,
}
FIELDS = ("service", "resource", "target", "environment", "team", "customer", "region")


def test_every_kind_of_source_is_in_the_suite() -> None:
    assert BY_KIND.keys() == SOURCES.keys()


@pytest.mark.parametrize("kind", BY_KIND)
def test_the_labels_that_fill_a_field_can_be_named_and_the_others_stay(kind: str) -> None:
    plugin, body = SOURCES[kind], BY_KIND[kind].body
    default = plugin.build(plugin.config()).parse(body, NOW).alerts[0]
    label, value = next(iter(default.labels.items()))
    for field in FIELDS:
        config = plugin.config.model_validate({"labels": {field: [label]}})
        alert = plugin.build(config).parse(body, NOW).alerts[0]
        assert getattr(alert, field) == value, field
        for other in set(FIELDS) - {field}:
            assert getattr(alert, other) == getattr(default, other), (field, other)


@each_case
def test_parsing_is_pure(case: Case) -> None:
    source, body = case.make("first"), copy.deepcopy(case.body)
    assert source.parse(body, NOW) == source.parse(body, NOW)
    assert body == case.body


@each_case
def test_what_is_kept_of_a_body_is_read_again_as_what_was_sent(case: Case) -> None:
    """A body that finds a gap in quell is kept, and nothing is lost once the gap is closed."""
    source = case.make("first")
    kept = source.keepable(json.dumps(case.body).encode())
    assert source.parse(strict_json.decode(kept), NOW) == source.parse(case.body, NOW)


@each_case
def test_fingerprints_differ_between_alerts_and_between_sources(case: Case) -> None:
    found = [
        alert.fingerprint
        for name in ("first", "second")
        for alert in case.make(name).parse(case.body, NOW).alerts
    ]
    assert len(set(found)) == 2 * case.count


@each_case
def test_an_unknown_field_changes_nothing(case: Case) -> None:
    source = case.make("first")
    body = {**case.body, "x-unknown": [1, {"y": None}]}
    assert source.parse(body, NOW) == source.parse(case.body, NOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@each_case
@given(body=json_values)
def test_no_json_raises_anything_but_a_payload_error(case: Case, body: Any) -> None:
    try:
        case.make("first").parse(body, NOW)
    except PayloadError as error:
        assert error.problem
