"""Azure Monitor's source in the contract suite, by a secure webhook."""

import json
from datetime import datetime, timedelta
from typing import Any

from jwt import PyJWKSet

from connectors.sources.azure_monitor import AzureMonitorConfig, AzureMonitorSource
from engine.core.alert import AlertStatus
from engine.ports.json_web_tokens import KeySet
from tests.connectors.sources.azure_monitor.azure import AUDIENCE, TENANT, notice
from tests.contracts.source_case import NOW, Case, by_headers
from tests.services.azure_action_group import secure_webhook_claims
from tests.services.key_issuer import KeyIssuer

ISSUER = KeyIssuer()
ISSUER.add("key-1")
# For the whole of a story; Azure asks for a new one in time.
LASTS = {"exp": int((NOW + timedelta(days=1)).timestamp())}
TOKEN = ISSUER.token({**secure_webhook_claims(TENANT, AUDIENCE, NOW), **LASTS}, "key-1")


def make(name: str) -> AzureMonitorSource:
    """With the tenant's keys at hand, so that nothing is fetched."""
    keys = {
        key.key_id or "": key for key in PyJWKSet.from_dict(json.loads(ISSUER.published())).keys
    }
    config = AzureMonitorConfig.model_validate(
        {"name": name, "entra": {"tenant": TENANT, "audience": AUDIENCE}}
    )
    return AzureMonitorSource(config, KeySet("https://issuer.invalid/keys", None, keys, NOW))


def story(status: AlertStatus, event_time: datetime, received_at: datetime) -> dict[str, Any]:
    """Of one metric alert; the time at which it was resolved is told."""
    told = event_time.isoformat()
    if status == "firing":
        return notice("test-metric-static", firedDateTime=told)
    return notice(
        "test-metric-static",
        firedDateTime=told,
        resolvedDateTime=told,
        monitorCondition="Resolved",
    )


CASE = Case(
    make=make,
    signed=by_headers({"authorization": f"Bearer {TOKEN}"}),
    body=notice("test-metric-static"),
    count=1,
    notice=story,
)
