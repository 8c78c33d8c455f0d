"""What every source keeps: the suite of the Source port, over each implementation."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from connectors.sources.alertmanager import AlertmanagerConfig, AlertmanagerSource
from engine.errors import PayloadError
from engine.ports.source import Source

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """A source with credentials, headers that hold them, and a body of `count` sound alerts."""

    make: Callable[[str], Source]
    headers: Mapping[str, str]
    body: Any
    count: int


CASES = {
    "alertmanager": Case(
        make=lambda name: AlertmanagerSource(
            AlertmanagerConfig(name=name, bearer=(SecretStr("s3cret"),))
        ),
        headers={"authorization": "Bearer s3cret"},
        body={
            "version": "4",
            "alerts": [
                {
                    "status": "firing",
                    "labels": {"alertname": "A", "gpu": str(n)},
                    "annotations": {},
                    "startsAt": "2026-03-01T11:00:00Z",
                    "endsAt": "0001-01-01T00:00:00Z",
                }
                for n in range(2)
            ],
        },
        count=2,
    ),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@each_case
def test_a_source_is_what_its_configuration_calls_it(case: Case) -> None:
    source = case.make("first")
    assert source.name == "first"
    assert {alert.source for alert in source.parse(case.body, NOW).alerts} == {"first"}
    assert source.max_body_bytes > 0


@each_case
def test_only_its_own_credentials_open_a_source(case: Case) -> None:
    source = case.make("first")
    assert source.authenticated(case.headers)
    assert not source.authenticated({})
    for name, value in case.headers.items():
        assert not source.authenticated(dict(case.headers) | {name: value[:-1]})
        assert not source.authenticated(dict(case.headers) | {name: value + "x"})


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
