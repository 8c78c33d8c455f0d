"""CloudWatch's source in the contract suite."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from connectors.sources.cloudwatch import CloudwatchConfig, CloudwatchSource
from tests.connectors.sources.cloudwatch.payloads import notification
from tests.contracts.source_case import NOW, Case
from tests.services.sns import CERTIFICATE_URL, TOPIC, PublishedFiles, sns


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


def signed(body: bytes) -> tuple[Mapping[str, str], bytes]:
    """What SNS makes of a message that it signed already, as this one."""
    return {}, body


CASE = Case(
    make=source,
    signed=signed,
    body=sns().notification(json.dumps(notification()), NOW),
    count=1,
    covers_body=True,
    whole_body=False,
)
