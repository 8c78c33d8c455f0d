"""Asks Grafana's own Alertmanager, at the address that the operator configured, what fires.

GET /api/alertmanager/grafana/api/v2/alerts, which answers as Alertmanager's api/v2/openapi.yaml
says (`getAlerts`). It takes the permission `alert.instances:read`:
https://grafana.com/docs/grafana/latest/alerting/set-up/configure-rbac/
"""

import json
from collections.abc import Mapping
from urllib.parse import urlencode

from pydantic import Field, field_validator

from engine.core.alert import Occurrence
from engine.core.still_firing import Confirmation
from engine.errors import TransientError
from engine.ports.credentials import Secret, Section
from engine.ports.file_paths import PresentFile
from engine.ports.http_reads import read

PATH = "/api/alertmanager/grafana/api/v2/alerts"
# In the address of a question.
MAX_FILTER_CHARACTERS = 200


class GrafanaApiConfig(Section):
    """Where Grafana can be asked, with the token of a service account of the organisation."""

    url: str
    token: Secret
    ca: PresentFile | None = None
    timeout_s: float = Field(default=3.0, gt=0, le=30)

    @field_validator("url")
    @classmethod
    def _http(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is no address; write https://HOST")
        # The journal says who was asked.
        if "@" in url:
            raise ValueError("an address holds no user and no password")
        return url.rstrip("/")


async def ask(config: GrafanaApiConfig, occurrence: Occurrence) -> Confirmation:
    """Whether an alert with the same labels fires there, silenced or not."""
    labels = occurrence.alert.labels
    url = f"{config.url}{PATH}{_filter(labels.get('alertname', ''))}"
    headers = {"authorization": f"Bearer {config.token.get_secret_value()}"}
    try:
        body = await read(url, timeout_s=config.timeout_s, headers=headers, ca=config.ca)
        alerts = _labels_in(body)
    except TransientError as error:
        return Confirmation("cannot_tell", "source", f"{config.url}: {error}")
    fires = any(each == labels for each in alerts)
    return Confirmation("firing" if fires else "resolved", "source", f"asked {config.url}")


def shown_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Those that Grafana's webhook shows: not its private ones, such as `__alert_rule_uid__`."""
    return {
        name: value
        for name, value in labels.items()
        if value and not (name.startswith("__") and name.endswith("__"))
    }


def _labels_in(body: bytes) -> list[dict[str, str]]:
    try:
        alerts = json.loads(body)
        if not isinstance(alerts, list):
            raise TypeError(f"a {type(alerts).__name__}")
        return [
            shown_labels({str(name): str(value) for name, value in each["labels"].items()})
            for each in alerts
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TransientError(f"the answer isn't Grafana's ({error!r})") from error


def _filter(name: str) -> str:
    """Alerts of this name alone, where it can stand in an address."""
    if not name or not name.isprintable() or len(name) > MAX_FILTER_CHARACTERS:
        return ""
    return "?" + urlencode({"filter": f"alertname={json.dumps(name, ensure_ascii=False)}"})
