"""Which labels an incident has, and what becomes of names and values that don't fit."""

from typing import Any

import pytest

from connectors.sources.cloud_monitoring.labels import LabelsRead, kind_of, labels_of, scalar
from engine.ports.payload import WrongField
from tests.connectors.sources.cloud_monitoring.payloads import OPEN, UPTIME, opened


def labels(**changes: Any) -> dict[str, str]:
    return labels_of(opened(**changes)["incident"]).labels


def test_each_part_has_its_prefix_and_the_policy_s_own_labels_have_none() -> None:
    assert labels_of(OPEN["incident"]).labels == {
        "incident_id": "0.nrwotmyokd9n",
        "project": "acme-prod",
        "policy": "Endpoint fails",
        "policy_id": "projects/acme-prod/alertPolicies/1294288504",
        "condition": "Error share",
        "condition_kind": "threshold",
        "resource_type": "aiplatform.googleapis.com/Endpoint",
        "resource_name": "acme-prod llama-a",
        "resource_display_name": "llama-a",
        "metric_type": "aiplatform.googleapis.com/prediction/online/error_count",
        "severity": "Critical",
        "resource_endpoint_id": "4242",
        "resource_location": "europe-west3",
        "resource_resource_container": "acme-prod",
        "metric_response_code": "503",
        "metric_model": "llama-70b",
        "system_name": "llama-a",
        "system_preemptible": "false",
        "system_groups": "a,b",
        "metadata_app": "chat",
        "metadata_tenant": "acme",
        "team": "inference",
        "service": "llm-70b",
        "region": "eu",
    }


def test_an_uptime_check_has_what_it_says() -> None:
    assert labels_of(UPTIME["incident"]).labels == {
        "incident_id": "0.ligwyr056k2l",
        "policy": "chat is up",
        "condition": "Uptime Health Check on chat",
        "resource_type": "uptime_url",
        "resource_name": "Uptime Check URL labels {host=chat.example}",
        "resource_host": "chat.example",
    }


def test_a_policy_s_label_whose_name_is_taken_gets_a_prefix_and_an_empty_name_is_free() -> None:
    own = {"project": "chat", "severity": "low", "resource_endpoint_id": "x", "policy": ""}
    found = labels(policy_user_labels=own)
    assert (found["project"], found["policy_project"]) == ("acme-prod", "chat")
    assert (found["severity"], found["policy_severity"]) == ("Critical", "low")
    assert (found["resource_endpoint_id"], found["policy_resource_endpoint_id"]) == ("4242", "x")
    assert labels(policy_user_labels=own, severity=...)["severity"] == "low"


@pytest.mark.parametrize(
    ("resource", "region"),
    [
        ({"location": "europe-west3"}, "europe-west3"),
        ({"location": "us-central1-a"}, "us-central1"),
        ({"zone": "asia-southeast1-c"}, "asia-southeast1"),
        ({"region": "us-east4", "zone": "us-east5-b"}, "us-east4"),
        ({"region": "", "location": "global"}, "global"),
        ({"zone": "projects/x/zones/y"}, "projects/x/zones/y"),
        ({"host": "chat.example"}, ""),
    ],
    ids=str,
)
def test_the_region_is_the_resource_s_unless_the_policy_has_one(resource: Any, region: str) -> None:
    own = opened(resource={"type": "x", "labels": resource}, policy_user_labels={})
    assert labels_of(own["incident"]).labels.get("region", "") == region
    given = opened(resource={"type": "x", "labels": resource})
    assert labels_of(given["incident"]).labels["region"] == "eu"


@pytest.mark.parametrize("said", ["No severity", "SEVERITY_UNSPECIFIED", "", None, ...])
def test_a_policy_without_a_severity_has_none(said: Any) -> None:
    assert "severity" not in labels(severity=said)


@pytest.mark.parametrize(
    ("condition", "kind"),
    [
        ({"conditionThreshold": {}}, "threshold"),
        ({"conditionAbsent": {}}, "absent"),
        ({"conditionMatchedLog": {}}, "matched_log"),
        ({"conditionMonitoringQueryLanguage": {}}, "mql"),
        ({"conditionPrometheusQueryLanguage": {}}, "promql"),
        ({"conditionSql": {}}, "sql"),
        ({"conditionOfTomorrow": {}}, ""),
        ({}, ""),
    ],
)
def test_the_kind_of_a_condition_is_a_label(condition: Any, kind: str) -> None:
    assert kind_of(condition) == kind
    assert labels(condition=condition).get("condition_kind", "") == kind


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), ("a\0b", "a\ufffdb"), (True, "true"), (7, "7"), (0.5, "0.5"), ([1, "a"], "1,a")],
)
def test_single_values_are_texts(value: Any, text: str) -> None:
    assert scalar(value, "x") == text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"resource": []}, "resource"),
        ({"resource": {"labels": "x"}}, "resource.labels"),
        ({"resource": {"type": {}}}, "resource.type"),
        ({"resource": {"labels": {"zone": {}}}}, "resource.labels.zone"),
        ({"metric": {"labels": [1]}}, "metric.labels"),
        ({"metric": 1}, "metric"),
        ({"metadata": {"system_labels": 1}}, "metadata.system_labels"),
        ({"policy_user_labels": "x"}, "policy_user_labels"),
        ({"policy_user_labels": {"a": {"b": 1}}}, "policy_user_labels.a"),
        ({"condition": 3}, "condition"),
        ({"condition": {"name": {}}}, "condition.name"),
        ({"severity": {}}, "severity"),
    ],
    ids=str,
)
def test_a_wrong_type_is_told_with_its_path(changes: Any, field: str) -> None:
    with pytest.raises(WrongField) as wrong:
        labels(**changes)
    assert wrong.value.field == field


def test_a_text_too_long_for_a_label_becomes_an_annotation() -> None:
    read = LabelsRead()
    read.add_all("metric_", {"line": "é" * 2000, "short": "x"}, "metric.labels")
    assert read.labels == {"metric_short": "x"}
    assert read.annotations == {"metric_line": "é" * 2000}
