"""Alertmanager's source in the contract suite."""

from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from connectors.sources.alertmanager import AlertmanagerConfig, AlertmanagerSource
from engine.core.alert import AlertStatus
from tests.contracts.source_case import Case, by_headers


def notice(status: AlertStatus, event_time: datetime, received_at: datetime) -> Any:
    """A webhook's body of one alert; `received_at` is nothing that it knows."""
    ended = status == "resolved"
    started = event_time - timedelta(minutes=1) if ended else event_time
    alert = {
        "status": status,
        "labels": {"alertname": "A", "gpu": "0"},
        "annotations": {},
        "startsAt": started.isoformat(),
        "endsAt": event_time.isoformat() if ended else "0001-01-01T00:00:00Z",
    }
    return {"version": "4", "alerts": [alert]}


CASE = Case(
    make=lambda name: AlertmanagerSource(
        AlertmanagerConfig(name=name, bearer=(SecretStr("s3cret"),))
    ),
    signed=by_headers({"authorization": "Bearer s3cret"}),
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
    notice=notice,
    max_body_bytes=32 << 20,
)
