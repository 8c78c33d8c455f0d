"""Cloud Monitoring's source in the contract suite: a webhook, and Pub/Sub's push."""

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jwt import PyJWKSet
from pydantic import SecretStr

from connectors.sources.cloud_monitoring import (
    CloudMonitoringConfig,
    CloudMonitoringSource,
    PushConfig,
)
from engine.core.alert import AlertStatus
from engine.ports.credentials import BasicCredentials
from engine.ports.json_web_tokens import KeySet
from tests.connectors.sources.cloud_monitoring.payloads import (
    OPEN,
    SUBSCRIPTION,
    closed,
    opened,
    wrapped,
)
from tests.contracts.source_case import NOW, Case, by_headers
from tests.services.key_issuer import KeyIssuer
from tests.services.pubsub_push import PushSubscription

AUDIENCE = "https://quell.example/v1/alerts/gcp"
EMAIL = "pusher@acme-ops.iam.gserviceaccount.com"


ISSUER = KeyIssuer()
ISSUER.add("key-1")


def pushed(name: str) -> CloudMonitoringSource:
    """With Google's keys at hand, so that nothing is fetched."""
    push = PushConfig(audience=AUDIENCE, email=EMAIL, subscriptions=(SUBSCRIPTION,))
    found = PyJWKSet.from_dict(json.loads(ISSUER.published())).keys
    keys = KeySet(push.keys, None, {key.key_id or "": key for key in found}, NOW)
    return CloudMonitoringSource(CloudMonitoringConfig(name=name, push=push), keys)


def signed(body: bytes) -> tuple[Mapping[str, str], bytes]:
    sender = PushSubscription("", ISSUER, AUDIENCE, EMAIL, now=NOW.timestamp)
    return {"authorization": f"Bearer {sender.token()}"}, body


def notice(status: AlertStatus, event_time: datetime, received_at: datetime) -> Any:
    """One notice of the same incident; `received_at` is nothing that Google knows."""
    at = int(event_time.timestamp())
    return opened(started_at=at) if status == "firing" else closed(started_at=at, ended_at=at)


def pushed_notice(status: AlertStatus, event_time: datetime, received_at: datetime) -> Any:
    """The same in Pub/Sub's envelope."""
    return wrapped(notice(status, event_time, received_at))


WEBHOOK = Case(
    make=lambda name: CloudMonitoringSource(
        CloudMonitoringConfig(
            name=name, basic=(BasicCredentials(user="gcm", password=SecretStr("s3cret")),)
        )
    ),
    signed=by_headers({"authorization": f"Basic {base64.b64encode(b'gcm:s3cret').decode()}"}),
    body=OPEN,
    count=1,
    notice=notice,
)
PUSH = Case(make=pushed, signed=signed, body=wrapped(OPEN), count=1, notice=pushed_notice)
