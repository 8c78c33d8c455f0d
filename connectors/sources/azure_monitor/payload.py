"""Reads one notice of the common alert schema, whatever the service that is behind it.

https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-common-schema. What a notice means for
quell is in docs/sources/azure-monitor.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connectors.sources.azure_monitor.config import AzureMonitorConfig
from connectors.sources.azure_monitor.context import Context, context_of, text_of, time_of
from connectors.sources.azure_monitor.kinds import (
    ENDED_STAGES,
    EVENT_KINDS,
    HEALTHY,
    Kind,
    kind_of,
)
from connectors.sources.azure_monitor.resource_ids import ResourceId, resource_id
from engine.core.alert import MAX_LABEL_BYTES, Alert, AlertStatus, fingerprint_of, within_bounds
from engine.core.json_value import Json
from engine.errors import PayloadError
from engine.ports.payload import WrongField, links_of, shown, storable, text_in

SCHEMA = "azureMonitorCommonAlertSchema"
ESSENTIALS = "data.essentials"
# The annotation by which Alerts Management is asked.
ALERT_ID = "alert_id"


def read_notice(config: AzureMonitorConfig, body: Json, received_at: datetime) -> Alert:
    """The alert of a body. Raises PayloadError with the path of the first wrong field."""
    if not isinstance(body, dict):
        raise PayloadError(f"expected an object with `data`, got {shown(body)}")
    if body.get("schemaId") != SCHEMA:
        advice = f"expected {SCHEMA!r}; switch the common alert schema on for this action"
        raise PayloadError(f"{advice}, got {shown(body.get('schemaId'))}", "schemaId")
    data = _object(body.get("data"), "data")
    context = _object(data.get("alertContext"), "data.alertContext")
    custom = _object(data.get("customProperties"), "data.customProperties")
    try:
        return _Notice(config, _essentials(data), context, custom, received_at).alert()
    except WrongField as wrong:
        raise PayloadError(wrong.problem, f"{ESSENTIALS}.{wrong.field}") from wrong


@dataclass(frozen=True, slots=True)
class _Essentials:
    """What every notice has, and what a budget's leaves null."""

    alert_id: str
    origin_id: str
    rule: str
    severity: str
    monitoring_service: str
    signal_type: str
    condition: str
    description: str
    investigation_link: str
    fired_at: datetime | None
    resolved_at: datetime | None
    targets: Sequence[str]
    configuration_items: Sequence[str]


def _essentials(data: Mapping[str, Json]) -> _Essentials:
    raw = _object(data.get("essentials"), ESSENTIALS)
    return _Essentials(
        alert_id=text_in(raw, "alertId"),
        origin_id=text_in(raw, "originAlertId"),
        rule=text_in(raw, "alertRule"),
        severity=text_in(raw, "severity"),
        monitoring_service=text_in(raw, "monitoringService"),
        signal_type=text_in(raw, "signalType"),
        condition=text_in(raw, "monitorCondition"),
        description=text_in(raw, "description"),
        investigation_link=text_in(raw, "investigationLink"),
        fired_at=time_of(raw, "firedDateTime"),
        resolved_at=time_of(raw, "resolvedDateTime"),
        targets=_texts(raw, "alertTargetIDs"),
        configuration_items=_texts(raw, "configurationItems"),
    )


@dataclass(frozen=True, slots=True)
class _Times:
    """When it began, when Azure says that this notice's event was, and when it ended."""

    status: AlertStatus
    starts_at: datetime
    event_at: datetime
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Notice:
    """Turns one notice into an alert."""

    config: AzureMonitorConfig
    essentials: _Essentials
    raw_context: Mapping[str, Json]
    raw_custom: Mapping[str, Json]
    received_at: datetime

    def alert(self) -> Alert:
        essentials = self.essentials
        kind = kind_of(essentials.monitoring_service, essentials.signal_type, self.raw_context)
        context = context_of(self.raw_context, is_event=kind in EVENT_KINDS)
        target = self._target(context)
        times = self._times(kind, context)
        texts = self._texts(kind, context, target)
        return within_bounds(
            Alert(
                fingerprint=fingerprint_of(self.config.name, self._identity(kind, context, target)),
                source=self.config.name,
                name=self._name(context),
                status=times.status,
                labels=texts.labels,
                annotations=texts.annotations,
                starts_at=times.starts_at,
                ends_at=times.ends_at,
                received_at=self.received_at,
                event_at=times.event_at,
                expires_at=self._expires_at(kind, times),
                links=links_of(
                    [
                        *filter(None, [essentials.investigation_link]),
                        *context.links,
                        texts.labels.get("runbook_url", ""),
                    ]
                ),
                **self.config.labels.fields(texts.labels),
            )
        )

    def _name(self, context: Context) -> str:
        """The rule's name; a budget's notice has none but the budget's."""
        essentials = self.essentials
        return (
            essentials.rule
            or context.labels.get("budget", "")
            or essentials.monitoring_service
            or "Azure Monitor"
        )

    def _target(self, context: Context) -> ResourceId:
        """What it is about; no more than the subscription where nothing else is told."""
        targets = self.essentials.targets
        for text in (*targets[:1], context.scope):
            found = resource_id(text)
            if found.subscription:
                return found
        subscription = resource_id(self.essentials.alert_id).subscription
        return ResourceId("", subscription, "", "", "")

    def _identity(self, kind: Kind, context: Context, target: ResourceId) -> Mapping[str, str]:
        """What tells one thing that is wrong from another, the same in each notice about it.

        Each event of the activity log makes an alert of its own, also those that tell how one
        outage goes on; so an outage is known by what is out.
        """
        essentials = self.essentials
        rule = essentials.rule.lower()
        tracking_id = context.labels.get("tracking_id", "")
        if kind == "service_health" and tracking_id:
            return {
                "rule": rule,
                "tracking_id": tracking_id,
                "subscription": target.subscription,
            }
        if kind == "resource_health" and target.text:
            return {"rule": rule, "resource_id": target.text}
        if essentials.alert_id:
            return {"alert_id": essentials.alert_id.lower()}
        if essentials.origin_id:
            return {"origin_id": essentials.origin_id.lower()}
        raise WrongField("alertId", "nothing tells which alert it is, also not `originAlertId`")

    def _times(self, kind: Kind, context: Context) -> _Times:
        """By Azure's clock, so that a notice that comes late or twice changes nothing.

        An alert's id has one firing and at most one resolution, and only metric alerts are sure to
        tell the time of the latter; without it, when it was received stands in.
        """
        essentials = self.essentials
        fired_at = essentials.fired_at or self.received_at
        if kind in EVENT_KINDS:
            event_at = context.event_at or fired_at
            if _has_ended(kind, context):
                return _Times("resolved", event_at, event_at, event_at)
            fired_at = event_at
        match essentials.condition.lower():
            case "fired":
                return _Times("firing", fired_at, fired_at)
            case "resolved":
                resolved_at = essentials.resolved_at or max(fired_at, self.received_at)
                return _Times("resolved", fired_at, resolved_at, resolved_at)
            case _:
                told = shown(essentials.condition or None)
                raise WrongField("monitorCondition", f"expected 'Fired' or 'Resolved', got {told}")

    def _expires_at(self, kind: Kind, times: _Times) -> datetime | None:
        ttl = ttl_of(self.config, kind, self.essentials.rule)
        if times.status == "resolved" or ttl is None:
            return None
        try:
            return times.event_at + ttl
        except OverflowError as error:
            raise WrongField("firedDateTime", "no time comes after it") from error

    def _texts(self, kind: Kind, context: Context, target: ResourceId) -> "_Texts":
        """Ours first: what a sender may name as it likes never takes a name's place."""
        essentials = self.essentials
        texts = _Texts()
        texts.add_annotations(
            {
                # First, so that no text of somebody else takes its place.
                ALERT_ID: essentials.alert_id or essentials.origin_id,
                "description": essentials.description,
                "targets": ", ".join(essentials.targets) if len(essentials.targets) > 1 else "",
                **context.annotations,
            }
        )
        own = {
            "alertname": self._name(context),
            "kind": kind,
            "severity": essentials.severity,
            "monitoring_service": essentials.monitoring_service,
            "subscription": target.subscription,
            "resource_group": target.group,
            "resource_type": target.type,
            "resource": target.name,
            "resource_id": target.text,
            "configuration_item": self._configuration_item(kind),
            **context.labels,
        }
        texts.add_labels("", own)
        texts.add_labels("custom", self._custom(kind))
        texts.add_labels("label", context.prometheus_labels)
        texts.add_labels("dimension", context.dimensions)
        texts.add_annotations(context.prometheus_annotations)
        return texts

    def _configuration_item(self, kind: Kind) -> str:
        """The machine that logged, where the target is the workspace; a budget's says "budgets"."""
        items = self.essentials.configuration_items
        if not items or kind == "budget":
            return ""
        return resource_id(items[0]).name or items[0].lower()

    def _custom(self, kind: Kind) -> Mapping[str, str]:
        """The rule's own properties, which metric and log alerts repeat in their context."""
        repeated = self.raw_context.get("properties")
        custom = dict(self.raw_custom)
        if kind not in EVENT_KINDS and isinstance(repeated, dict):
            custom = {**repeated, **custom}
        return {storable(key): text_of(value) for key, value in custom.items()}


@dataclass(slots=True)
class _Texts:
    """Labels and annotations; the first of a name stands, and a later label gets its prefix."""

    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)

    def add_labels(self, prefix: str, found: Mapping[str, str]) -> None:
        for name, value in found.items():
            if not name or not value or self.labels.get(name) == value:
                continue
            name = f"{prefix}_{name}" if name in self.labels else name
            # A rule's property may be a text for people.
            long = len(value.encode(errors="replace")) > MAX_LABEL_BYTES
            (self.annotations if prefix and long else self.labels).setdefault(name, value)

    def add_annotations(self, found: Mapping[str, str]) -> None:
        for name, value in found.items():
            if name and value:
                self.annotations.setdefault(name, value)


def ttl_of(config: AzureMonitorConfig, kind: Kind, rule: str) -> timedelta | None:
    """How long a firing notice counts; None until Azure resolves it."""
    seconds: float | None = getattr(config.ttl_s, kind, config.ttl_s.other)
    if is_stateless(config, rule):
        seconds = config.ttl_s.stateless
    return None if seconds is None else timedelta(seconds=seconds)


def is_stateless(config: AzureMonitorConfig, rule: str) -> bool:
    """Whether it fires at each evaluation and is never resolved; only its owner knows."""
    return rule.lower() in {name.lower() for name in config.stateless_rules}


def _has_ended(kind: Kind, context: Context) -> bool:
    """Their condition is always "Fired"; what the event says about the outage counts."""
    if kind == "service_health":
        return context.labels.get("stage", "").lower() in ENDED_STAGES
    if kind == "resource_health":
        return context.labels.get("health_status", "").lower() == HEALTHY
    return False


def _object(value: Json, where: str) -> Mapping[str, Json]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        # Without what it is: a context may hold who did something.
        raise PayloadError("expected an object", where)
    return value


def _texts(raw: Mapping[str, Json], where: str) -> Sequence[str]:
    """The texts of a list, which may be null; others in it don't count. Raises WrongField."""
    value = raw.get(where)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise WrongField(where, f"expected a list of strings, got {shown(value)}")
    return [storable(each) for each in value if isinstance(each, str) and each]
