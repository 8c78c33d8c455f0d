"""Grafana alerting: the webhook of a contact point, with the payload that it has by default.

https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
and, in github.com/grafana/alerting, receivers/webhook/v1/webhook.go and templates/template_data.go
for the payload, http/hmac.go for the signature. docs/sources/grafana.md says what it means here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import Field
from typing_extensions import override

from connectors.sources.grafana.firing import GrafanaApiConfig, ask, shown_labels
from engine.core.alert import Alert, Occurrence, fingerprint_of
from engine.core.json_value import Json
from engine.core.still_firing import Confirmation, by_last_notice
from engine.errors import PayloadError
from engine.ports.body_signatures import GuardedSource, HmacConfig
from engine.ports.credentials import CredentialsConfig, Name
from engine.ports.payload import (
    LabelNames,
    Texts,
    WrongField,
    bounded,
    links_of,
    object_in,
    read_each,
    shown,
    status_in,
    storable,
    text_in,
    time_in,
)
from engine.ports.source import (
    NOBODY,
    Parsed,
    Sender,
)

KIND = "grafana"
SIGNATURE_HEADER = "X-Grafana-Alerting-Signature"
# Pages about the alert itself come before those about all of its kind.
_LINKS = ("panelURL", "dashboardURL", "generatorURL", "imageURL", "silenceURL")
_VALUES = "values"


class GrafanaHmac(HmacConfig):
    """As Grafana signs; name the timestamp header in the contact point, or copies get in later."""

    header: str = SIGNATURE_HEADER


class GrafanaConfig(CredentialsConfig):
    """One Grafana, or one organisation of it, as a source.

    Any of the credentials lets it in. `api` is where it can be asked what fires; without, an
    alert's last notice counts for `last_notice_counts_s`: set it above the repeat interval of the
    notification policy.
    """

    name: Name = KIND
    hmac: GrafanaHmac | None = None
    api: GrafanaApiConfig | None = None
    last_notice_counts_s: float = Field(default=5 * 3600.0, gt=0)
    labels: LabelNames = LabelNames()


class GrafanaSource(GuardedSource):
    """The Source port over one configuration."""

    def __init__(self, config: GrafanaConfig) -> None:
        super().__init__(config.name, config, config.hmac)
        self._config = config

    @override
    async def still_firing(self, occurrence: Occurrence, now: datetime) -> Confirmation:
        if self._config.api is not None:
            return await ask(self._config.api, occurrence)
        ttl = timedelta(seconds=self._config.last_notice_counts_s)
        return by_last_notice(occurrence, now, ttl)

    @override
    def parse(self, body: Json, received_at: datetime, sender: Sender = NOBODY) -> Parsed:
        """The alerts of a notification; a wrong one is rejected alone.

        Raises PayloadError when it isn't the payload that a contact point has by default.
        """
        if not isinstance(body, dict):
            raise PayloadError(f"expected an object with `alerts`, got {shown(body)}")
        raws = body.get("alerts")
        if not isinstance(raws, list):
            hint = "; a payload of your own is for a source of the kind cloudevents"
            raise PayloadError(f"expected a list of alerts, got {shown(raws)}{hint}", "alerts")
        texts = Texts.of_alerts(len(raws))
        reader = _Reader(self.name, self._config.labels, received_at, texts)
        alerts, rejected = read_each(raws, "alerts", reader.alert)
        return Parsed(alerts, rejected, _count(body.get("truncatedAlerts")))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the alerts of one body."""

    source: str
    names: LabelNames
    received_at: datetime
    texts: Texts

    def alert(self, raw: Json) -> Alert:
        """Raises WrongField."""
        if not isinstance(raw, dict):
            raise WrongField("", f"expected an object, got {shown(raw)}")
        labels = shown_labels(self.texts.of(raw.get("labels"), "labels"))
        if not labels:
            raise WrongField("labels", "no label has a value, so nothing tells which alert it is")
        annotations = self.texts.of(object_in(raw, "annotations"), "annotations")
        status, ends_at = status_in(raw), time_in(raw, "endsAt")
        links = [text_in(raw, name) for name in _LINKS]
        alert = Alert(
            fingerprint=fingerprint_of(self.source, labels),
            source=self.source,
            name=labels.get("alertname", ""),
            status=status,
            labels=labels,
            annotations=_with_values(annotations, raw.get(_VALUES)),
            starts_at=time_in(raw, "startsAt") or self.received_at,
            # Of a firing alert it is when Grafana would forget it, which binds nobody.
            ends_at=ends_at if status == "resolved" else None,
            received_at=self.received_at,
            links=links_of([annotations.get("runbook_url", ""), *links]),
            **self.names.fields(labels),
        )
        return bounded(alert)


def _with_values(annotations: Mapping[str, str], values: Json) -> Mapping[str, str]:
    """The annotations, and what the rule's queries gave: null in an alert without data."""
    if not isinstance(values, dict) or _VALUES in annotations:
        return annotations
    told = ", ".join(
        f"{name}={value:g}"
        for name, value in sorted(values.items())
        if isinstance(value, int | float) and not isinstance(value, bool)
    )
    return {**annotations, _VALUES: storable(told)} if told else annotations


def _count(truncated: Json) -> int:
    if not isinstance(truncated, int) or isinstance(truncated, bool):
        return 0
    return truncated if 0 <= truncated < 2**31 else 0
