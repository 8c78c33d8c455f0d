"""CloudWatch's source in the contract suite."""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from connectors.sources.cloudwatch import CloudwatchConfig, CloudwatchSource
from engine.core.alert import AlertStatus
from tests.connectors.sources.cloudwatch.payloads import notification
from tests.contracts.source_case import NOW, Case
from tests.services.sns import CERTIFICATE_URL, TOPIC, PublishedFiles, sns, stamp


@cache
def roots() -> Path:
    """A file with the root of `sns()`."""
    return sns().trusted(Path(mkdtemp(prefix="quell-test-sns-")))


def source(
    name: str = "cloudwatch", files: Mapping[str, bytes] | None = None, **settings: Any
) -> CloudwatchSource:
    """Takes what `sns()` signs; `files` are what is there instead of its certificate."""
    config = CloudwatchConfig.model_validate(
        {"name": name, "topics": [TOPIC], "roots": roots(), **settings}
    )
    there = {CERTIFICATE_URL: sns().chain} if files is None else files
    return CloudwatchSource(config, fetch=PublishedFiles(there))


def envelope(message: Any, at: datetime) -> dict[str, Any]:
    """A message of SNS, before it is signed."""
    return {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Message": json.dumps(message),
        "Timestamp": stamp(at),
    }


def signed(body: bytes) -> tuple[Mapping[str, str], bytes]:
    """What SNS sends."""
    return {}, json.dumps(sns().signed(json.loads(body))).encode()


def notice(status: AlertStatus, event_time: datetime, received_at: datetime) -> Any:
    """What is said when the alarm changed at `event_time`."""
    at = event_time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{event_time.microsecond // 1000:03d}+0000"
    state = "ALARM" if status == "firing" else "OK"
    return envelope(notification(NewStateValue=state, StateChangeTime=at), received_at)


CASE = Case(
    make=source,
    signed=signed,
    body=envelope(notification(), NOW),
    count=1,
    covers_body=True,
    signed_fields=("Message", "Timestamp", "Signature"),
    names_its_key=True,
    notice=notice,
)
