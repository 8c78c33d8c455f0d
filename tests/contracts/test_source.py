"""What every source keeps: the suite of the Source port, over each implementation."""

import copy
import json
import random
from collections.abc import Mapping
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.json_value import Json
from engine.errors import PayloadError, TransientError
from engine.ports import strict_json
from engine.ports.source import Parsed, Source
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
FORGERIES = 1_000
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@each_case
def test_a_source_is_what_its_configuration_calls_it(case: Case) -> None:
    source = case.make("first")
    assert source.name == "first"
    assert {alert.source for alert in source.parse(case.body, NOW).alerts} == {"first"}
    assert source.max_body_bytes > 0


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
async def test_no_forgery_of_one_bit_gets_in(case: Case) -> None:
    """Each flips one bit of a header that lets in, or of the body where that is signed."""
    source, draw = case.make("first"), random.Random(1)
    headers, body = case.signed(json.dumps(case.body).encode())
    fields = [*headers, *([""] if case.covers_body else [])]
    unread = 0
    for _ in range(FORGERIES):
        field = draw.choice(fields)
        text = headers.get(field, "").encode() or body
        at = draw.randrange(len(text) * 8)
        flipped = bytearray(text)
        flipped[at // 8] ^= 1 << at % 8
        if field:
            forged = {**headers, field: flipped.decode("latin-1")}
            # A scheme is the same in any case, and so is the space behind it.
            if _as_read(forged[field]) == _as_read(headers[field]):
                continue
            found = await admission(source, forged, body)
        else:
            try:
                found = await admission(source, headers, bytes(flipped))
            except TransientError:
                assert not case.whole_body
                continue  # it can't be told now, so nobody is let in
            if found.outcome == "admitted" and not case.whole_body:
                assert read(source, bytes(flipped)) in (read(source, body), None), at
                unread += 1
                continue
        assert found.outcome == "denied", (field, at)
        assert found.why
    assert unread < FORGERIES // 20


def read(source: Source, body: bytes) -> Parsed | None:
    """What the gateway comes to; None where it refuses."""
    try:
        value: Json = strict_json.decode(body)
        return source.parse(value, NOW)
    except PayloadError:
        return None


def _as_read(value: str) -> tuple[str, str]:
    scheme, _, rest = value.partition(" ")
    return scheme.lower(), rest.strip()


@each_case
def test_sound_alerts_are_stamped_and_in_utc(case: Case) -> None:
    parsed = case.make("first").parse(case.body, NOW)
    assert (len(parsed.alerts), list(parsed.rejected)) == (case.count, [])
    for alert in parsed.alerts:
        assert alert.received_at == NOW
        for at in (alert.starts_at, alert.ends_at, alert.event_at, alert.expires_at):
            assert at is None or at.tzinfo is UTC


@each_case
def test_parsing_is_pure(case: Case) -> None:
    source, body = case.make("first"), copy.deepcopy(case.body)
    assert source.parse(body, NOW) == source.parse(body, NOW)
    assert body == case.body


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
