"""Microsoft's samples as notices, and the sources that read them."""

import copy
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from connectors.sources.azure_monitor import AzureMonitorConfig, AzureMonitorSource
from engine.core.alert import Alert

SAMPLES = Path(__file__).parent / "samples"
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SUBSCRIPTION = "aaaa0a0a-bb1b-cc2c-dd3d-eeeeee4e4e4e"
TENANT = "aaaabbbb-0000-cccc-1111-dddd2222eeee"
AUDIENCE = "11112222-bbbb-3333-cccc-4444dddd5555"


@cache
def _samples(name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((SAMPLES / name).read_text())
    return found


def notice_names() -> list[str]:
    return list(_samples("notices.json"))


def context_names() -> list[str]:
    return list(_samples("contexts.json"))


def notice(name: str, **essentials: Any) -> dict[str, Any]:
    """A whole sample, with other essentials."""
    found: dict[str, Any] = copy.deepcopy(_samples("notices.json")[name])
    found["data"]["essentials"].update(essentials)
    return found


def around(context: str, service: str, **essentials: Any) -> dict[str, Any]:
    """A sample that shows a context alone, with the essentials of a firing metric alert."""
    found = notice("metric-resolved", monitorCondition="Fired", monitoringService=service)
    found["data"]["essentials"].update(essentials)
    found["data"]["essentials"].pop("resolvedDateTime")
    found["data"]["alertContext"] = copy.deepcopy(_samples("contexts.json")[context])
    return found


def source(**settings: Any) -> AzureMonitorSource:
    return AzureMonitorSource(AzureMonitorConfig.model_validate(settings))


def read(body: Any, received_at: datetime = NOW, **settings: Any) -> Alert:
    [alert] = source(**settings).parse(body, received_at).alerts
    return alert
