"""What identifies an occurrence, what ends it, and that order and replays don't matter."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from msgspec import structs

from engine.core.alert import Alert, Occurrence, receive
from tests.connectors.sources.azure_monitor.azure import NOW, around, notice, read


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fold(*alerts: Alert) -> tuple[Sequence[str], Occurrence]:
    current: Occurrence | None = None
    effects: list[str] = []
    for alert in alerts:
        seen = receive(alert, current)
        effects.append(seen.effect)
        current = seen.occurrence
    assert current is not None
    return effects, current


def test_firing_and_resolved_are_one_occurrence_by_the_alert_s_id() -> None:
    fired = read(notice("metric-resolved", monitorCondition="Fired", resolvedDateTime=None))
    resolved = read(notice("metric-resolved"))
    assert fired.fingerprint == resolved.fingerprint
    effects, occurrence = fold(fired, resolved)
    assert effects == ["opened", "resolved"]
    assert occurrence.ended_at == at("2019-03-22T14:03:16.224631")
    other = notice("metric-resolved", alertId="/subscriptions/s/providers/x/alerts/2")
    assert read(other).fingerprint != resolved.fingerprint


def test_any_order_of_the_notices_of_one_alert_ends_the_same() -> None:
    fired = notice("metric-resolved", monitorCondition="Fired", resolvedDateTime=None)
    resolved = read(notice("metric-resolved"))
    for order in permutations((read(fired), resolved, read(fired, NOW + timedelta(hours=1)))):
        _, occurrence = fold(*order)
        assert occurrence.ended_at == resolved.ends_at


def test_an_id_in_another_case_is_the_same_and_without_one_the_origin_s_counts() -> None:
    plain = read(notice("test-log-v2"))
    shouted = notice("test-log-v2")
    shouted["data"]["essentials"]["alertId"] = shouted["data"]["essentials"]["alertId"].upper()
    assert read(shouted).fingerprint == plain.fingerprint
    by_origin = read(notice("test-log-v2", alertId=None))
    assert by_origin.fingerprint not in (plain.fingerprint, "")


def test_a_resolution_without_a_time_counts_from_when_it_was_received() -> None:
    fired = notice("test-log-v2", firedDateTime="2026-03-01T11:00:00.1234567Z")
    resolved = notice(
        "test-log-v2", firedDateTime="2026-03-01T11:00:00.1234567Z", monitorCondition="Resolved"
    )
    effects, occurrence = fold(read(fired), read(resolved), read(fired))
    assert effects == ["opened", "resolved", "stale"]
    assert occurrence.ended_at == NOW
    # Our clock may be behind Azure's: the resolution still comes after the firing.
    early = NOW - timedelta(hours=2)
    assert fold(read(fired, early), read(resolved, early))[0] == ["opened", "resolved"]


@pytest.mark.parametrize("after", [1, 240, 360, 3600])
@pytest.mark.parametrize("name", ["test-metric-static", "test-activity-log", "test-log-v2"])
def test_a_replay_changes_nothing(name: str, after: float) -> None:
    fired = "2026-03-01T11:59:58.7654321Z"
    body = notice(name, firedDateTime=fired)
    if "eventTimestamp" in body["data"]["alertContext"]:
        body["data"]["alertContext"]["eventTimestamp"] = fired
    first, again = read(body), read(body, NOW + timedelta(seconds=after))
    effects, occurrence = fold(first, again)
    assert effects == ["opened", "repeat"]
    assert occurrence.expires_at == first.expires_at
    assert occurrence.last_notice_at == first.event_at
    resolved = notice(name, firedDateTime=fired, monitorCondition="Resolved")
    ended = read(resolved, NOW + timedelta(seconds=0.5))
    assert fold(first, ended, again)[0] == ["opened", "resolved", "stale"]


def test_a_replay_after_the_time_to_live_opens_nothing() -> None:
    alert = read(notice("test-activity-log"))
    assert alert.event_at is not None
    assert alert.expires_at == alert.event_at + timedelta(hours=1)
    _, opened = fold(alert)
    expired = structs.replace(opened, ended_at=alert.expires_at, ended_by="expiry")
    assert receive(alert, expired).effect == "stale"


def health(status: str, time: str, alert_id: str) -> Alert:
    # The alerts fire when Azure comes to it, so their times don't order the events.
    body = around("resource-health", "ResourceHealth", alertId=alert_id)
    body["data"]["essentials"]["firedDateTime"] = NOW.isoformat()
    body["data"]["alertContext"]["eventTimestamp"] = time
    body["data"]["alertContext"]["properties"]["currentHealthStatus"] = status
    return read(body)


def test_a_resource_s_health_is_one_occurrence_over_several_alerts_in_any_order() -> None:
    down = health("Unavailable", "2026-03-01T11:00:00Z", "/subscriptions/s/alerts/1")
    worse = health("Unknown", "2026-03-01T11:05:00Z", "/subscriptions/s/alerts/2")
    up = health("Available", "2026-03-01T11:10:00Z", "/subscriptions/s/alerts/3")
    assert len({down.fingerprint, worse.fingerprint, up.fingerprint}) == 1
    effects, occurrence = fold(down, worse, up)
    assert effects == ["opened", "repeat", "resolved"]
    assert occurrence.ended_at == at("2026-03-01T11:10:00")
    for order in permutations((down, worse, up, down)):
        _, occurrence = fold(*order)
        assert occurrence.ended_at == up.event_at


@pytest.mark.parametrize(
    ("stage", "status"),
    [
        *((stage, "firing") for stage in ("Active", "Planned", "InProgress", "Rescheduled", "")),
        *((stage, "resolved") for stage in ("Resolved", "Complete", "Canceled", "RCA")),
    ],
)
def test_a_stage_of_service_health_decides(stage: str, status: str) -> None:
    body = notice("test-service-health")
    body["data"]["alertContext"]["properties"]["stage"] = stage
    alert = read(body)
    assert alert.status == status
    # The next stage comes with another alert's id.
    body["data"]["essentials"]["alertId"] = "/subscriptions/s/alerts/another"
    assert read(body).fingerprint == alert.fingerprint
    body["data"]["alertContext"]["properties"]["trackingId"] = "OTHER"
    assert read(body).fingerprint != alert.fingerprint


@pytest.mark.parametrize(
    ("settings", "name", "seconds"),
    [
        ({}, "test-metric-static", None),
        ({}, "test-log-v2", None),
        ({}, "test-activity-log", 3600),
        ({}, "test-resource-health", 86_400),
        ({}, "test-budget", 86_400),
        ({}, "test-smart-detection", 86_400),
        ({"ttl_s": {"metric": 600}}, "test-metric-static", 600),
        ({"ttl_s": {"activity_log": 60}}, "test-activity-log", 60),
        ({"stateless_rules": ["Test-metricAlertRule"]}, "test-metric-static", 900),
        ({"stateless_rules": ["another"]}, "test-metric-static", None),
    ],
)
def test_how_long_a_firing_notice_counts(
    settings: Mapping[str, Any], name: str, seconds: int | None
) -> None:
    alert = read(notice(name), **settings)
    assert alert.event_at is not None
    expires_at = None if seconds is None else alert.event_at + timedelta(seconds=seconds)
    assert alert.expires_at == expires_at


def test_without_any_time_it_counts_from_when_it_was_received() -> None:
    alert = read(notice("test-budget", firedDateTime=None))
    assert alert.starts_at == alert.event_at == NOW
