"""Alertmanager's source in the contract suite."""

from pydantic import SecretStr

from connectors.sources.alertmanager import AlertmanagerConfig, AlertmanagerSource
from tests.contracts.source_case import Case, by_headers

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
)
