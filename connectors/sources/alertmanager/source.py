"""Prometheus Alertmanager: its webhook (version 4) and its own API's body, which Prometheus sends.

Formats: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config and Alertmanager's
api/v2/openapi.yaml (`postableAlerts`). What both mean for quell is in docs/sources/alertmanager.md.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog
from msgspec import Struct
from pydantic import Field
from typing_extensions import override

from connectors.sources.alertmanager.firing import FiringApiConfig, alerts_of_group, ask
from engine.core.alert import Alert, AlertStatus, Occurrence, fingerprint_of
from engine.core.json_value import Json, JsonObject
from engine.core.still_firing import Confirmation, by_last_notice
from engine.errors import PayloadError
from engine.ports.body_signatures import GuardedSource
from engine.ports.credentials import CredentialsConfig, Name
from engine.ports.payload import (
    LabelNames,
    Texts,
    WrongField,
    bounded,
    links_of,
    no_string,
    raw_bytes,
    read_each,
    shown,
    status_in,
    time_in,
)
from engine.ports.source import (
    NOBODY,
    Parsed,
    Rejected,
    Sender,
)

KIND = "alertmanager"
API_FORM = "api"

log = structlog.get_logger(__name__)


class AlertmanagerConfig(CredentialsConfig):
    """One Alertmanager or Prometheus, or a pair of them, as a source.

    Without credentials only loopback senders get in. `api` is where it can be asked what fires;
    without, an alert's last notice counts for `last_notice_counts_s`: set it above the route's
    `repeat_interval`.
    """

    name: Name = KIND
    max_body_mib: int = Field(default=32, ge=1, le=256)
    resolve_timeout_s: float = Field(default=300.0, gt=0)
    api: FiringApiConfig | None = None
    last_notice_counts_s: float = Field(default=5 * 3600.0, gt=0)
    labels: LabelNames = LabelNames()


class AlertmanagerSource(GuardedSource):
    """The Source port over one configuration."""

    def __init__(self, config: AlertmanagerConfig) -> None:
        super().__init__(config.name, config)
        self._config = config
        self._resolve_timeout = timedelta(seconds=config.resolve_timeout_s)

    @property
    @override
    def max_body_bytes(self) -> int:
        return self._config.max_body_mib * 1024 * 1024

    @override
    async def still_firing(self, occurrence: Occurrence, now: datetime) -> Confirmation:
        if self._config.api is not None:
            return await ask(self._config.api, occurrence)
        ttl = timedelta(seconds=self._config.last_notice_counts_s)
        return by_last_notice(occurrence, now, ttl)

    @override
    def parse(self, body: Json, received_at: datetime, sender: Sender = NOBODY) -> Parsed:
        """The alerts of a webhook's object or of the API's list; the form "api" is only the list.

        One wrong alert is rejected alone, with the path of its first wrong field. Raises
        PayloadError when the body is neither shape.
        """
        if isinstance(body, list):
            return self._reader(body, received_at).read(body, "", from_api=True)
        if sender.form == API_FORM:
            raise PayloadError(f"expected a list of alerts, got {shown(body)}")
        if not isinstance(body, dict):
            raise PayloadError(f"expected an object with `alerts`, got {shown(body)}")
        alerts = body.get("alerts")
        if not isinstance(alerts, list):
            raise PayloadError(f"expected a list of alerts, got {shown(alerts)}", "alerts")
        truncated = body.get("truncatedAlerts")
        reader = self._reader(alerts, received_at)
        parsed = reader.read(alerts, "alerts", from_api=False, truncated=truncated)
        api = self._config.api
        if parsed.truncated and api is not None and api.speaks == "alertmanager":
            return replace(parsed, unfinished=_left_out(body))
        return parsed

    @override
    async def finish(self, parsed: Parsed, received_at: datetime) -> Sequence[Alert]:
        """Fetch what the notice left out of its group, as far as it fires."""
        left_out, api = parsed.unfinished, self._config.api
        if not isinstance(left_out, _LeftOut) or api is None:
            return ()
        raws = await alerts_of_group(api, left_out.receiver, left_out.group)
        found = await asyncio.to_thread(self._those_firing, raws, received_at)
        # Of a pair each alert comes twice.
        fetched = {alert.fingerprint: alert for alert in found.alerts}
        for alert in parsed.alerts:
            fetched.pop(alert.fingerprint, None)
        log.info(
            "left_out_alerts_fetched",
            source=self.name,
            left_out=parsed.truncated,
            fetched=len(fetched),
            not_understood=[f"{each.field}: {each.problem}" for each in found.rejected[:3]],
        )
        return list(fetched.values())

    def _those_firing(self, raws: Sequence[JsonObject], received_at: datetime) -> Parsed:
        """As a notice would tell them: the API lists only what fires, and tells no end of it."""
        told = [{**raw, "status": "firing"} for raw in raws]
        return self._reader(told, received_at).read(told, "alerts", from_api=False)

    def _reader(self, raws: Sequence[Json], received_at: datetime) -> "_Reader":
        texts = Texts.of_alerts(len(raws))
        names, timeout = self._config.labels, self._resolve_timeout
        return _Reader(self.name, names, timeout, received_at, texts)


@dataclass(frozen=True, slots=True)
class _LeftOut:
    """Of which group a notice left alerts out; "" and {} where it doesn't say."""

    receiver: str
    group: Mapping[str, str]


def _left_out(body: Mapping[str, Json]) -> _LeftOut:
    receiver, group = body.get("receiver"), body.get("groupLabels")
    texts = group if isinstance(group, dict) else {}
    labels = {name: value for name, value in texts.items() if isinstance(value, str)}
    return _LeftOut(receiver if isinstance(receiver, str) else "", labels)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the alerts of one body."""

    source: str
    names: LabelNames
    resolve_timeout: timedelta
    received_at: datetime
    texts: Texts

    def read(
        self, raws: Sequence[Json], path: str, *, from_api: bool, truncated: Json = None
    ) -> Parsed:
        alerts, rejected = read_each(raws, path, partial(self._alert, from_api=from_api))
        left_out = 0
        if (
            isinstance(truncated, int)
            and not isinstance(truncated, bool)
            and 0 <= truncated < 2**31
        ):
            left_out = truncated
        elif truncated is not None:
            problem = f"expected a count, got {shown(truncated)}"
            rejected.append(Rejected(-1, "truncatedAlerts", problem, raw_bytes(truncated)))
        return Parsed(alerts, rejected, left_out)

    def _alert(self, raw: Json, *, from_api: bool) -> Alert:
        if not isinstance(raw, dict):
            raise WrongField("", f"expected an object, got {shown(raw)}")
        labels, annotations, size = self.texts.of_both(raw.get("labels"), raw.get("annotations"))
        if not labels:
            raise WrongField("labels", "no label has a value, so nothing tells which alert it is")
        generator = self._generator(raw)
        interval = self._interval_of_api(raw) if from_api else self._interval_of_webhook(raw)
        alert = Alert(
            fingerprint=fingerprint_of(self.source, labels),
            source=self.source,
            name=labels.get("alertname", ""),
            status=interval.status,
            labels=labels,
            annotations=annotations,
            starts_at=interval.starts_at,
            ends_at=interval.ends_at,
            received_at=self.received_at,
            expires_at=interval.expires_at,
            links=_links(generator, annotations),
            **self.names.fields(labels),
        )
        # A character takes four bytes at most.
        return bounded(alert, None if size is None else size + 4 * len(generator))

    def _interval_of_webhook(self, raw: Mapping[str, Json]) -> "_Interval":
        """The status decides; a firing alert's end is year 1, or a guess that binds nobody."""
        starts_at = time_in(raw, "startsAt") or self.received_at
        ends_at = time_in(raw, "endsAt")
        status = status_in(raw)
        return _Interval(status, starts_at, ends_at=ends_at if status == "resolved" else None)

    def _interval_of_api(self, raw: Mapping[str, Json]) -> "_Interval":
        """No status: a past end says resolved, a later one how long the alert counts unless resent.

        Without an end it counts for the resolve timeout, as in Alertmanager.
        """
        starts_at, ends_at = time_in(raw, "startsAt"), time_in(raw, "endsAt")
        if ends_at is not None and ends_at <= self.received_at:
            return _Interval("resolved", starts_at or ends_at, ends_at=ends_at)
        expires_at = ends_at or self.received_at + self.resolve_timeout
        return _Interval("firing", starts_at or self.received_at, expires_at=expires_at)

    def _generator(self, raw: Mapping[str, Json]) -> str:
        generator = raw.get("generatorURL")
        if generator is not None and not isinstance(generator, str):
            raise WrongField("generatorURL", no_string(generator))
        return self.texts.keep(generator) if generator else ""


def _links(generator: str, annotations: Mapping[str, str]) -> tuple[str, ...]:
    told = annotations.get
    return links_of((generator, told("runbook_url", ""), told("dashboard_url", "")))


class _Interval(Struct, frozen=True, gc=False):
    status: AlertStatus
    starts_at: datetime
    ends_at: datetime | None = None
    expires_at: datetime | None = None
