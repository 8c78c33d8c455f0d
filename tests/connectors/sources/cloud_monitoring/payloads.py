"""Notifications as Cloud Monitoring sends them, with names of nobody.

Their members are those of notifications that were published: the metric alert's in
flanksource/duty (context/cel.go, Apache-2.0: open and closed, by Pub/Sub), the test's in
cloudforet-io/plugin-google-monitoring-mon-webhook (README.md, Apache-2.0), the uptime check's in
Agilicus/stackdriver-google-chat (README.md). The kinds of conditions are those of the discovery
document monitoring.v3 (schema Condition).
"""

import base64
import copy
import json
from datetime import UTC, datetime
from typing import Any

BEGAN_AT, ENDED_AT = 1_772_366_280, 1_772_366_700
BEGAN = datetime.fromtimestamp(BEGAN_AT, UTC)
ENDED = datetime.fromtimestamp(ENDED_AT, UTC)
SUBSCRIPTION = "projects/acme-ops/subscriptions/quell"

OPEN: dict[str, Any] = {
    "incident": {
        "condition": {
            "conditionThreshold": {
                "aggregations": [{"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_MEAN"}],
                "comparison": "COMPARISON_GT",
                "duration": "0s",
                "filter": 'resource.type = "aiplatform.googleapis.com/Endpoint"',
                "thresholdValue": 0.05,
                "trigger": {"count": 1},
            },
            "displayName": "Error share",
            "name": "projects/acme-prod/alertPolicies/1294288504/conditions/7238353791",
        },
        "condition_name": "Error share",
        "documentation": {
            "content": "See the runbook.",
            "mime_type": "text/markdown",
            "subject": "[ALERT - Critical] Endpoint fails",
            "links": [{"displayName": "runbook", "url": "https://wiki.example/endpoint"}],
        },
        "ended_at": None,
        "incident_id": "0.nrwotmyokd9n",
        "metadata": {
            "system_labels": {"name": "llama-a", "preemptible": False, "groups": ["a", "b"]},
            "user_labels": {"app": "chat", "tenant": "acme"},
        },
        "metric": {
            "displayName": "Error count",
            "labels": {"response_code": "503", "model": "llama-70b"},
            "type": "aiplatform.googleapis.com/prediction/online/error_count",
        },
        "notification_channel_ids": [],
        "observed_value": "0.790",
        "policy_name": "Endpoint fails",
        "policy_user_labels": {"team": "inference", "service": "llm-70b", "region": "eu"},
        "renotify": False,
        "resource": {
            "labels": {
                "endpoint_id": "4242",
                "location": "europe-west3",
                "resource_container": "acme-prod",
            },
            "type": "aiplatform.googleapis.com/Endpoint",
        },
        "resource_display_name": "llama-a",
        "resource_id": "",
        "resource_name": "acme-prod llama-a",
        "resource_type_display_name": "Vertex AI Endpoint",
        "scoping_project_id": "acme-prod",
        "scoping_project_number": 365415247865,
        "severity": "Critical",
        "started_at": BEGAN_AT,
        "state": "open",
        "summary": "Error count for acme-prod llama-a is above the threshold of 0.050.",
        "threshold_value": "0.05",
        "url": "https://console.cloud.google.com/monitoring/alerting/alerts/0.nrwotmyokd9n"
        "?channelType=cloud-pubsub&project=acme-prod",
    },
    "version": "1.2",
}

TEST: dict[str, Any] = {
    "version": "test",
    "incident": {
        "incident_id": "12345",
        "scoping_project_id": "12345",
        "scoping_project_number": 12345,
        "url": "http://www.example.com",
        "started_at": 0,
        "ended_at": 0,
        "state": "OPEN",
        "summary": "Test Incident",
        "apigee_url": "http://www.example.com",
        "observed_value": "1.0",
        "resource": {"type": "example_resource", "labels": {"example": "label"}},
        "resource_type_display_name": "Example Resource Type",
        "resource_id": "12345",
        "resource_display_name": "Example Resource",
        "resource_name": "projects/12345/example_resources/12345",
        "metric": {
            "type": "test.googleapis.com/metric",
            "displayName": "Test Metric",
            "labels": {"example": "label"},
        },
        "metadata": {"system_labels": {"example": "label"}, "user_labels": {"example": "label"}},
        "policy_name": "projects/12345/alertPolicies/12345",
        "policy_user_labels": {"example": "label"},
        "documentation": "Test documentation",
        "condition": {
            "name": "projects/12345/alertPolicies/12345/conditions/12345",
            "displayName": "Example condition",
            "conditionThreshold": {
                "filter": 'metric.type="test.googleapis.com/metric"',
                "comparison": "COMPARISON_GT",
                "thresholdValue": 0.5,
                "duration": "0s",
                "trigger": {"count": 1},
            },
        },
        "condition_name": "Example condition",
        "threshold_value": "0.5",
    },
}

# An uptime check's, of a time before scoping projects, severities and metadata.
UPTIME: dict[str, Any] = {
    "incident": {
        "condition_name": "Uptime Health Check on chat",
        "ended_at": None,
        "incident_id": "0.ligwyr056k2l",
        "policy_name": "chat is up",
        "resource": {"labels": {"host": "chat.example"}, "type": "uptime_url"},
        "resource_id": "",
        "resource_name": "Uptime Check URL labels {host=chat.example}",
        "started_at": BEGAN_AT,
        "state": "open",
        "summary": "An uptime check on Uptime Check URL labels {host=chat.example} is failing.",
        "url": "https://app.google.stackdriver.com/incidents/0.ligwyr056k2l?project=acme",
    },
    "version": "1.2",
}


def opened(**changes: Any) -> dict[str, Any]:
    """An incident that is open; `...` takes a member out."""
    body = copy.deepcopy(OPEN)
    body["incident"] = {k: v for k, v in (body["incident"] | changes).items() if v is not ...}
    return body


def closed(**changes: Any) -> dict[str, Any]:
    return opened(**{"state": "closed", "ended_at": ENDED_AT, **changes})


def wrapped(notification: Any, **message: Any) -> dict[str, Any]:
    """In Pub/Sub's envelope."""
    data = notification if isinstance(notification, bytes) else json.dumps(notification).encode()
    told = {
        "attributes": {},
        "data": base64.b64encode(data).decode(),
        "messageId": "2070443601311540",
        "message_id": "2070443601311540",
        "publishTime": "2026-03-01T11:58:01.749Z",
        "publish_time": "2026-03-01T11:58:01.749Z",
    }
    kept = {name: value for name, value in (told | message).items() if value is not ...}
    return {"message": kept, "subscription": SUBSCRIPTION}
