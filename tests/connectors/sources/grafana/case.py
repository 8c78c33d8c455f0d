"""Grafana's source in the contract suite, with the payload of its webhook's page."""

from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from connectors.sources.grafana import GrafanaConfig, GrafanaSource
from connectors.sources.grafana.source import GrafanaHmac
from engine.core.alert import AlertStatus
from tests.contracts.source_case import NOW, Case
from tests.services.signed_bodies import signed_by

GRAFANA = "https://grafana.example"
TIMESTAMP_HEADER = "X-Grafana-Alerting-Timestamp"


def alert(number: int, status: AlertStatus, starts_at: datetime, ends_at: str) -> dict[str, Any]:
    """One alert as Grafana 12 writes it."""
    return {
        "status": status,
        "labels": {
            "alertname": "GPU memory high",
            "grafana_folder": "llm",
            "instance": f"gpu-{number:02}:9100",
            "service": "llm-70b",
            "severity": "critical",
        },
        "annotations": {
            "summary": "GPU memory over 95 %",
            "runbook_url": "https://runbooks.example/gpu",
        },
        "startsAt": starts_at.isoformat(),
        "endsAt": ends_at,
        "generatorURL": f"{GRAFANA}/alerting/grafana/cdeqmlhvflz40f/view?orgId=1",
        "fingerprint": f"c6eadffa33fcdf3{number}",
        "silenceURL": f"{GRAFANA}/alerting/silence/new?alertmanager=grafana",
        "dashboardURL": f"{GRAFANA}/d/abc?from=1&orgId=1",
        "panelURL": f"{GRAFANA}/d/abc?viewPanel=2",
        "values": {"B": 97.25, "C": 1},
        "valueString": "[ var='B' labels={instance=gpu-07:9100} value=97.25 ]",
        "ruleUID": "cdeqmlhvflz40f",
        "orgId": 1,
    }


def notification(*alerts: Any) -> dict[str, Any]:
    return {
        "receiver": "quell",
        "status": "firing",
        "alerts": list(alerts),
        "groupLabels": {"alertname": "GPU memory high"},
        "commonLabels": {"service": "llm-70b"},
        "commonAnnotations": {},
        "externalURL": f"{GRAFANA}/",
        "version": "1",
        "groupKey": '{}:{alertname="GPU memory high"}',
        "truncatedAlerts": 0,
        "orgId": 1,
        "title": "[FIRING:2] GPU memory high",
        "state": "alerting",
        "message": "**Firing**",
    }


def notice(status: AlertStatus, event_time: datetime, received_at: datetime) -> Any:
    """One notice of the same alert; `received_at` is nothing that Grafana knows."""
    if status == "resolved":
        began = event_time - timedelta(minutes=1)
        return notification(alert(7, status, began, event_time.isoformat()))
    return notification(alert(7, status, event_time, "0001-01-01T00:00:00Z"))


CASE = Case(
    make=lambda name: GrafanaSource(
        GrafanaConfig(
            name=name,
            hmac=GrafanaHmac(secrets=(SecretStr("s3cret"),), timestamp_header=TIMESTAMP_HEADER),
        )
    ),
    signed=signed_by(
        "s3cret",
        header="x-grafana-alerting-signature",
        timestamp_header=TIMESTAMP_HEADER.lower(),
    ),
    body=notification(
        *(alert(number, "firing", NOW, "0001-01-01T00:00:00Z") for number in range(2))
    ),
    count=2,
    covers_body=True,
    notice=notice,
)
