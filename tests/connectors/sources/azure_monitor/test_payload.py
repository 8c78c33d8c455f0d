"""What each kind of notice becomes: Microsoft's own samples, and the traps in them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import PayloadError
from tests.connectors.sources.azure_monitor.azure import (
    SUBSCRIPTION,
    around,
    context_names,
    notice,
    notice_names,
    read,
)

LOG_V2 = "Log Alerts V2"
HEALTH = "ResourceHealth"
LONG_GROUP = f"/subscriptions/s/resourceGroups/{'g' * 3000}"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# The sample, the service, what the alert says of itself, and labels and annotations that it has.
CONTEXTS: Mapping[str, tuple[str, Mapping[str, str], Mapping[str, str]]] = {
    "metric-static": (
        "Platform",
        {"kind": "metric", "metric": "Percentage CPU", "severity": "Sev3"},
        {"condition": "Average Percentage CPU GreaterThan 25: 31.1105", "window_size": "PT5M"},
    ),
    "metric-dynamic": (
        "Platform",
        {"kind": "metric", "condition_type": "DynamicThresholdCriteria", "metric": "Egress"},
        {"condition": "Total Egress GreaterThan 47658: 50101"},
    ),
    "metric-webtest": (
        "Platform",
        {"kind": "metric", "web_test": "myAvailabilityTest-myApplication"},
        {"condition": "Sum Failed Location GreaterThan 2: 5"},
    ),
    "log-platform": (
        "Platform",
        {"kind": "log", "Computer": "INC-Gen2Alert"},
        {
            "condition": "Less Than 10000: 2",
            "window_start": "2019-03-22T13:36:31+00:00",
            "window_end": "2019-03-22T13:51:31+00:00",
            "result_count": "2",
        },
    ),
    "log-application-insights": (
        "Application Insights",
        {"kind": "log", "IP": "1.1.1.1"},
        {"condition": "Less Than 10000.0: 2", "window_start": "2019-03-22T13:36:33+00:00"},
    ),
    "log-v2": (
        LOG_V2,
        {"kind": "log", "Computer": "TestComputer", "name1": "value1"},
        {
            "condition": "Count LowerThan 1: 0.0",
            "search_query": "Heartbeat",
            "target_resource_types": "Microsoft.Compute/virtualMachines",
        },
    ),
    "administrative": (
        "Activity Log - Administrative",
        {
            "kind": "activity_log",
            "operation": "Microsoft.Compute/virtualMachines/restart/action",
            "event_status": "Succeeded",
            "event_level": "Informational",
        },
        {},
    ),
    "policy": (
        "Activity Log - Policy",
        {"kind": "activity_log", "event_level": "Warning", "region": "eastus2"},
        {},
    ),
    "autoscale": (
        "Activity Log - Autoscale",
        {
            "kind": "activity_log",
            "operation": "Microsoft.Insights/AutoscaleSettings/Scaleup/Action",
        },
        {"old_instances": "9", "new_instances": "10"},
    ),
    "security": (
        "Activity Log - Security",
        {"kind": "activity_log", "category": "Virus", "severity": "Sev3"},
        {"threat_status": "Quarantined", "action_taken": "Blocked"},
    ),
    "service-health": (
        "ServiceHealth",
        {
            "kind": "service_health",
            "stage": "Planned",
            "incident_type": "Maintenance",
            "azure_service": "Azure Synapse Analytics",
            "region": "East US",
            "event_level": "3",
        },
        {"summary": "Azure Synapse Analytics Scheduled Maintenance Pending"},
    ),
    "resource-health": (
        HEALTH,
        {"kind": "resource_health", "health_status": "Unavailable", "cause": "UserInitiated"},
        {"previous_health_status": "Available"},
    ),
    "prometheus": (
        "Prometheus",
        {"kind": "prometheus", "cluster": "myCluster1", "Environment": "Prod"},
        {
            "expression": "sql_up > 0",
            "expression_value": "0",
            "summary": "alert on SQL availability",
        },
    ),
}


def test_every_sample_of_a_context_is_in_the_table() -> None:
    assert list(CONTEXTS) == context_names()


@pytest.mark.parametrize("name", CONTEXTS)
def test_each_kind_of_context_gives_its_labels_and_annotations(name: str) -> None:
    service, labels, annotations = CONTEXTS[name]
    alert = read(around(name, service))
    assert (alert.status, alert.name, alert.severity_hint) == ("firing", "WCUS-R2-Gen2", "info")
    assert labels.items() <= alert.labels.items()
    assert annotations.items() <= alert.annotations.items()
    assert alert.resource == alert.target == "wcus-r2-gen2"


# The sample, its alert's name, status, event time (2025-04-15 unless told), and its target.
NOTICES: Mapping[str, tuple[str, str, str, str]] = {
    "metric-resolved": ("WCUS-R2-Gen2", "resolved", "2019-03-22T14:03:16.224631", "wcus-r2-gen2"),
    "test-activity-log": ("test-activityLogAlertRule", "firing", "11:26:21.386", "test-vm"),
    "test-availability": (
        "test-availabilityTest-test-applicationInsights",
        "firing",
        "17:42:34.824",
        "test-applicationinsights",
    ),
    "test-budget": ("Test_forcasted_budget", "firing", "17:49:34.022", "test_forcasted_budget"),
    "test-cost-budget": (
        "Test_actual_cost_budget",
        "firing",
        "17:53:32.996",
        "test_actual_cost_budget",
    ),
    "test-forecasted-budget": (
        "Test_forcasted_budget",
        "firing",
        "17:55:39.04",
        "test_forcasted_budget",
    ),
    "test-log-v1-metric-measurement": (
        "test-logAlertRule-v1-metricMeasurement",
        "firing",
        "17:57:27.967",
        "test-loganalyticsworkspace",
    ),
    "test-log-v1-number-of-results": (
        "test-logAlertRule-v1-numResults",
        "firing",
        "18:04:40.852",
        "test-computer",
    ),
    "test-log-v2": ("test-logAlertRule-v2", "firing", "18:08:03.626", "test-computer"),
    "test-metric-dynamic": (
        "test-dynamicMetricAlertRule",
        "firing",
        "18:15:16.104",
        "test-storageaccount",
    ),
    "test-metric-static": ("test-metricAlertRule", "firing", "18:17:12.851", "test-storageaccount"),
    "test-resource-health": ("test-ResourceHealthAlertRule", "firing", "18:19:45.304", "test-vm"),
    "test-service-health": ("test-ServiceHealthAlertRule", "resolved", "18:20:36.256", ""),
    "test-smart-detection": (
        "test-SmartAlertRule",
        "firing",
        "2021-10-28T19:09:09.111508",
        "test-applicationinsights",
    ),
}


def test_every_whole_sample_is_in_the_table() -> None:
    assert list(NOTICES) == notice_names()


@pytest.mark.parametrize("name", NOTICES)
def test_each_whole_sample_becomes_an_alert(name: str) -> None:
    alert_name, status, event, target = NOTICES[name]
    alert = read(notice(name))
    assert (alert.name, alert.status, alert.target) == (alert_name, status, target)
    assert alert.event_at == at(event if "T" in event else f"2025-04-15T{event}")
    assert alert.ends_at == (alert.event_at if status == "resolved" else None)


def test_the_parts_of_the_target_s_id_are_labels_in_lower_case() -> None:
    labels = read(notice("test-metric-dynamic")).labels
    assert labels["subscription"] == SUBSCRIPTION
    assert labels["resource_group"] == "test-rg"
    assert labels["resource_type"] == "microsoft.storage/storageaccounts"
    assert labels["resource"] == "test-storageaccount"
    assert labels["resource_id"].endswith("/storageaccounts/test-storageaccount")


def test_the_machine_that_logged_is_the_target_and_not_the_workspace() -> None:
    alert = read(notice("test-log-v2"))
    assert alert.target == alert.resource == "test-computer"
    assert alert.labels["resource"] == "test-loganalyticsworkspace"


@pytest.mark.parametrize(
    ("severity", "hint"),
    [
        ("Sev0", "critical"),
        ("Sev1", "error"),
        ("Sev2", "warning"),
        ("Sev3", "info"),
        ("Sev4", "info"),
        (None, ""),
    ],
)
def test_severities(severity: str | None, hint: str) -> None:
    assert read(notice("test-metric-static", severity=severity)).severity_hint == hint


def test_without_a_target_the_event_s_scope_tells_what_it_is_about() -> None:
    alert = read(around("autoscale", "Activity Log - Autoscale", alertTargetIDs=None))
    assert alert.labels["resource"] == "alexademo"
    alert = read(around("administrative", "Activity Log - Administrative", alertTargetIDs=[]))
    assert alert.labels["resource"] == "wcus-r2-actlog"


def test_links_lead_to_pages_and_not_to_the_api() -> None:
    runbook = "https://wiki.example/heartbeat"
    body = around("log-v2", LOG_V2, investigationLink="https://portal.azure.com/#investigate")
    body["data"]["customProperties"] = {"runbook_url": runbook}
    first, filtered, plain, last = read(body).links
    assert (first, last) == ("https://portal.azure.com/#investigate", runbook)
    assert filtered.endswith("/LogsBlade/filtered")
    assert plain.endswith("/LogsBlade")


def test_a_name_that_is_taken_gets_the_prefix_of_its_group() -> None:
    body = around("prometheus", "Prometheus")
    body["data"]["customProperties"] = {"severity": "page", "team": "db", "long": "x" * 3000}
    body["data"]["alertContext"]["labels"] = {"severity": "critical", "team": "sql", "pod": "p1"}
    alert = read(body)
    assert alert.labels["severity"] == "Sev3"
    assert alert.labels["custom_severity"] == "page"
    assert alert.labels["label_severity"] == "critical"
    assert (alert.labels["team"], alert.labels["label_team"]) == ("db", "sql")
    assert (alert.team, alert.labels["pod"]) == ("db", "p1")
    assert alert.annotations["long"] == "x" * 3000


def test_nobody_else_s_text_is_the_id_that_azure_is_asked_about() -> None:
    body = around("prometheus", "Prometheus", alertId=None)
    body["data"]["customProperties"] = {"alert_id": "x" * 3000}
    body["data"]["alertContext"]["annotations"] = {"alert_id": "y"}
    alert = read(body)
    assert alert.annotations["alert_id"] == body["data"]["essentials"]["originAlertId"]


def test_the_same_dimension_in_several_conditions() -> None:
    body = notice("test-metric-static")
    condition = body["data"]["alertContext"]["condition"]
    condition["allOf"].append({**condition["allOf"][0], "metricName": "Egress"})
    condition["allOf"][1]["dimensions"] = [
        {"name": "ApiName", "value": "PutBlob"},
        {"name": "metric", "value": "mine"},
        {"name": "Tier", "value": 1},
        {"name": "Gone", "value": None},
    ]
    alert = read(body)
    assert alert.annotations["condition"].count(";") == 1
    assert alert.labels["ApiName"] == "GetBlob"
    assert alert.labels["dimension_metric"] == "mine"
    assert alert.labels["Tier"] == "1"
    assert "Gone" not in alert.labels


@pytest.mark.parametrize(
    ("where", "body"),
    [
        ("", []),
        ("schemaId", {"schemaId": "Microsoft.Insights/activityLogs", "data": {}}),
        ("schemaId", {"schemaId": "AzureMonitorMetricAlert", "data": {}}),
        ("data", notice("test-budget") | {"data": "x"}),
        ("data.essentials.alertId", notice("test-budget", alertId=None)),
        ("data.essentials.alertId", notice("test-budget", alertId=7)),
        ("data.essentials.monitorCondition", notice("test-budget", monitorCondition=None)),
        ("data.essentials.monitorCondition", notice("test-budget", monitorCondition="Maybe")),
        ("data.essentials.firedDateTime", notice("test-budget", firedDateTime="yesterday")),
        ("data.essentials.firedDateTime", notice("test-budget", firedDateTime=1)),
        (
            "data.essentials.firedDateTime",
            notice("test-budget", firedDateTime="13/40/2019 1:36:31 PM"),
        ),
        (
            "data.essentials.firedDateTime",
            notice("test-budget", firedDateTime="9999-12-31T23:59:59Z"),
        ),
        ("data.essentials.alertTargetIDs", notice("test-budget", alertTargetIDs="x")),
        ("labels.resource_group", notice("test-log-v2", alertTargetIDs=[LONG_GROUP])),
    ],
)
def test_what_cannot_be_understood_says_where(where: str, body: Any) -> None:
    with pytest.raises(PayloadError) as refused:
        read(body)
    assert refused.value.field == where
    assert refused.value.problem


def test_a_context_of_a_wrong_type_is_refused_without_showing_it() -> None:
    body = notice("test-activity-log")
    body["data"]["alertContext"] = '{"caller": "user@contoso.com"}'
    with pytest.raises(PayloadError) as refused:
        read(body)
    assert str(refused.value) == "data.alertContext: expected an object"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    name=st.sampled_from(list(NOTICES)),
    part=st.sampled_from(["essentials", "alertContext", "condition", "properties", "AlertData"]),
    draw=st.data(),
)
def test_no_field_of_another_type_raises_anything_but_a_payload_error(
    name: str, part: str, draw: st.DataObject
) -> None:
    body = notice(name)
    context = body["data"]["alertContext"]
    fields = body["data"][part] if part in body["data"] else context.get(part)
    if not isinstance(fields, dict):
        fields = context
    fields[draw.draw(st.sampled_from(sorted(fields)))] = draw.draw(json_values)
    try:
        read(body)
    except PayloadError as error:
        assert error.problem


def test_an_unknown_service_is_understood_as_far_as_all_are_and_ends_by_itself() -> None:
    alert = read(notice("test-metric-static", monitoringService="VM Insights", signalType="Log"))
    assert (alert.labels["kind"], alert.severity_hint) == ("other", "info")
    assert alert.event_at is not None
    assert alert.expires_at == alert.event_at + timedelta(days=1)


def test_who_did_it_is_in_no_alert() -> None:
    for body in (
        around("administrative", "Activity Log - Administrative"),
        around("policy", "Activity Log - Policy"),
        around("autoscale", "Activity Log - Autoscale"),
        around("security", "Activity Log - Security"),
        notice("test-activity-log"),
        notice("test-budget"),
    ):
        told = repr(read(body))
        for who in ("claims", "aio", "22223333-cccc", "contoso", "test@sample", "testVM"):
            assert who not in told


def test_another_label_can_fill_a_field_and_the_others_stay() -> None:
    alert = read(notice("test-metric-static"), labels={"service": ["customKey1"]})
    assert (alert.service, alert.target) == ("value1", "test-storageaccount")
