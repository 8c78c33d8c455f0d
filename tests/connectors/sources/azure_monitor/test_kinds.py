"""Which kind of alert a notice is about."""

import pytest

from connectors.sources.azure_monitor.config import TtlConfig
from connectors.sources.azure_monitor.kinds import ASKED_KINDS, EVENT_KINDS, kind_of


@pytest.mark.parametrize(
    ("service", "signal", "kind"),
    [
        ("Platform", "Metric", "metric"),
        ("Log Analytics", "Log", "log"),
        ("Application Insights", "Log", "log"),
        ("Log Alerts V2", "Log", "log"),
        ("Prometheus", "Metric", "prometheus"),
        ("Activity Log - Administrative", "Activity Log", "activity_log"),
        ("Activity Log - Policy", "Activity Log", "activity_log"),
        ("Activity Log - Autoscale", "Activity Log", "activity_log"),
        ("Activity Log - Security", "Activity Log", "activity_log"),
        ("Activity Log - Recommendation", "Activity Log", "activity_log"),
        ("ServiceHealth", "ActivityLog", "service_health"),
        ("ResourceHealth", "Activity Log", "resource_health"),
        ("Resource Health", "Activity Log", "resource_health"),
        ("CostAlerts", "", "budget"),
        ("SmartDetector", "Log", "smart_detection"),
        ("Activity Log - Something New", "ActivityLog", "activity_log"),
        ("SCOM", "Log", "other"),
        ("", "", "other"),
    ],
)
def test_the_service_tells_the_kind(service: str, signal: str, kind: str) -> None:
    assert kind_of(service, signal, {}) == kind
    assert kind_of(service.lower(), signal.lower(), {}) == kind


def test_a_query_makes_a_platform_s_alert_one_of_logs() -> None:
    assert kind_of("Platform", "Log", {"SearchQuery": "x"}) == "log"


def test_every_kind_is_asked_about_or_an_event_or_a_budget_and_can_have_a_time_to_live() -> None:
    kinds = ASKED_KINDS | EVENT_KINDS | {"budget"}
    assert kinds | {"stateless"} == set(TtlConfig.model_fields)
    assert not ASKED_KINDS & EVENT_KINDS
