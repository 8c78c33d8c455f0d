"""The source for CloudEvents in the contract suite: notices, and JSON that a mapping explains."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from connectors.sources.cloudevents import CloudEventsConfig, CloudEventsSource
from engine.catalog.mappings import read_mapping
from engine.core.alert import AlertStatus
from engine.ports.body_signatures import HmacConfig
from tests.contracts.source_case import NOW, Case, by_headers
from tests.services.signed_bodies import signed_by

MAPPING = Path(__file__).with_name("incidents.yaml")
# Without a time, because the suite signs at one; tests/ports/test_body_signatures.py has times.
HMAC = HmacConfig(secrets=(SecretStr("s3cret"),), header="X-Signature", prefix="v1=")


def event(data: Mapping[str, Any], at: datetime = NOW) -> dict[str, Any]:
    """A notice as an application sends it."""
    return {
        "specversion": "1.0",
        "id": f"{data['status']}-{at.isoformat()}",
        "source": "/apps/checkout",
        "type": "quell.notice.v1",
        "time": at.isoformat(),
        "data": data,
    }


def notice(status: AlertStatus, event_time: datetime, received_at: datetime) -> Any:
    """One notice of the same alert; `received_at` is nothing that the sender knows."""
    began = {"starts_at": (event_time - timedelta(minutes=1)).isoformat()}
    times = {"ends_at": event_time.isoformat()} if status == "resolved" else {}
    return event(
        {"status": status, "name": "ModelCallsFailing", "labels": {"model": "m"}} | began | times,
        event_time,
    )


def incidents(status: AlertStatus, event_time: datetime, received_at: datetime) -> Any:
    """The same in the shape that incidents.yaml explains."""
    state = {"firing": "open", "resolved": "closed"}[status]
    incident = {"id": 7, "title": "GPU lost", "state": state, "updated": event_time.timestamp()}
    return {"incidents": [incident]}


CASE = Case(
    make=lambda name: CloudEventsSource(CloudEventsConfig(name=name, hmac=HMAC)),
    signed=signed_by("s3cret", header="x-signature", prefix="v1="),
    body=notice("firing", NOW, NOW),
    count=1,
    covers_body=True,
    notice=notice,
)
MAPPED = Case(
    make=lambda name: CloudEventsSource(
        CloudEventsConfig(name=name, bearer=(SecretStr("s3cret"),), mapping=read_mapping(MAPPING))
    ),
    signed=by_headers({"authorization": "Bearer s3cret"}),
    body={
        "incidents": [
            {
                "id": number,
                "title": "GPU lost",
                "state": "open",
                "updated": NOW.timestamp(),
                "tags": {"host": "gpu-07", "slot": number},
                "page": "https://status.example/7",
            }
            for number in range(2)
        ]
    },
    count=2,
    notice=incidents,
)
