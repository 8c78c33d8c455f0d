"""The shipped rules take the clouds' alerts as their sources read them, under whatever name."""

import json
from typing import Any

import pytest

from engine.app.rehearsing import understood_alerts
from engine.catalog import CatalogSources, load_catalog, shipped_folder
from engine.core.alert import Alert
from engine.core.classify import Match, classify
from engine.core.inventory import enrich
from engine.settings import load_settings
from tests.connectors.sources.azure_monitor.azure import notice
from tests.connectors.sources.cloud_monitoring.payloads import opened
from tests.connectors.sources.cloudwatch.payloads import TRIGGER, notification
from tests.doubles.declarations import ACTIONS

CATALOG = load_catalog(CatalogSources(shipped=shipped_folder()), ACTIONS)
OPENAI = "Microsoft.CognitiveServices/accounts/acme-openai"
ENDPOINT = "Microsoft.MachineLearningServices/workspaces/ml/onlineEndpoints/llm-8b"


def taken(source: str, payload: dict[str, Any]) -> Match:
    alert: Alert
    (alert,), problems = understood_alerts(
        load_settings(None, {}), source, json.dumps(payload).encode()
    )
    assert problems == []
    found = classify(enrich(alert, CATALOG.inventory), CATALOG.rules)
    assert found.failures == ()
    assert found.taken is not None
    return found.taken


@pytest.mark.parametrize(
    ("namespace", "metric", "dimension", "rule"),
    [
        ("AWS/Bedrock", "InvocationThrottles", "ModelId", "bedrock-throttled"),
        ("AWS/Bedrock", "InvocationServerErrors", "ModelId", "bedrock-failing"),
        ("AWS/Bedrock", "TimeToFirstToken", "ModelId", "bedrock-slow"),
        ("AWS/Bedrock", "Invocations", "ModelId", "unmatched"),
        ("AWS/SageMaker", "Invocation5XXErrors", "EndpointName", "sagemaker-failing"),
        ("AWS/SageMaker", "ModelLatency", "EndpointName", "sagemaker-slow"),
        ("/aws/sagemaker/Endpoints", "GPUUtilization", "EndpointName", "sagemaker-saturated"),
        ("AWS/EC2", "CPUUtilization", "InstanceId", "unmatched"),
    ],
)
def test_an_alarm_of_cloudwatch(namespace: str, metric: str, dimension: str, rule: str) -> None:
    trigger = {
        **TRIGGER,
        "MetricName": metric,
        "Namespace": namespace,
        "Dimensions": [{"name": dimension, "value": "llama"}],
    }
    found = taken("cloudwatch", notification(Trigger=trigger))
    assert found.rule.id == rule
    if rule != "unmatched":
        assert found.group == {
            "service": "llama",
            "region": "eu-central-1",
            "resource": "llama",
        }


@pytest.mark.parametrize(
    ("resource", "metric", "dimensions", "rule"),
    [
        (OPENAI, "AzureOpenAIRequests", {"StatusCode": "429"}, "azure-openai-throttled"),
        (OPENAI, "ProvisionedUtilization", {}, "azure-openai-throttled"),
        (OPENAI, "ModelRequests", {"StatusCode": "500"}, "azure-openai-failing"),
        (OPENAI, "AzureOpenAIAvailabilityRate", {}, "azure-openai-failing"),
        (OPENAI, "AzureOpenAITimeToResponse", {}, "azure-openai-slow"),
        (OPENAI, "AzureOpenAIRequests", {}, "unmatched"),
        (ENDPOINT, "RequestsPerMinute", {"statusCodeClass": "5xx"}, "azure-ml-failing"),
        (ENDPOINT, "RequestsPerMinute", {"statusCode": "429"}, "azure-ml-throttled"),
        (ENDPOINT, "RequestLatency_P95", {}, "azure-ml-slow"),
        (f"{ENDPOINT}/deployments/blue", "DiskUtilization", {}, "azure-ml-saturated"),
        ("Microsoft.Web/sites/shop", "DiskUtilization", {}, "unmatched"),
    ],
)
def test_an_alert_of_azure_monitor(
    resource: str, metric: str, dimensions: dict[str, str], rule: str
) -> None:
    group = "/subscriptions/aaaa0a0a-bb1b-cc2c-dd3d-eeeeee4e4e4e/resourceGroups/ai/providers"
    name = resource.rpartition("/")[2]
    payload = notice(
        "test-metric-static", alertTargetIDs=[f"{group}/{resource}"], configurationItems=[name]
    )
    (condition,) = payload["data"]["alertContext"]["condition"]["allOf"]
    condition["metricName"] = metric
    condition["dimensions"] = [{"name": k, "value": v} for k, v in dimensions.items()]
    found = taken("azure-monitor", payload)
    assert found.rule.id == rule
    if rule != "unmatched":
        assert found.group["resource"] == name


@pytest.mark.parametrize(
    ("metric", "labels", "rule"),
    [
        (
            "publisher/online_serving/model_invocation_count",
            {"response_code": "429"},
            "vertex-throttled",
        ),
        (
            "publisher/online_serving/model_invocation_count",
            {"response_code": "500", "error_category": "system"},
            "vertex-failing",
        ),
        ("publisher/online_serving/model_invocation_count", {}, "unmatched"),
        ("publisher/online_serving/first_token_latencies", {}, "vertex-slow"),
        ("prediction/online/error_count", {}, "vertex-failing"),
        ("prediction/online/response_count", {"response_code": "5xx"}, "vertex-failing"),
        ("prediction/online/prediction_latencies", {}, "vertex-slow"),
        ("prediction/online/accelerator/duty_cycle", {}, "vertex-saturated"),
    ],
)
def test_an_incident_of_cloud_monitoring(metric: str, labels: dict[str, str], rule: str) -> None:
    told = {"type": f"aiplatform.googleapis.com/{metric}", "labels": labels}
    found = taken("cloud-monitoring", opened(metric=told))
    assert found.rule.id == rule
    if rule != "unmatched":
        assert (found.group["service"], found.group["resource"]) == ("llm-70b", "4242")
