"""Cloud Monitoring's notifications (version 1.2), alone or in Pub/Sub's envelope.

Formats: https://docs.cloud.google.com/monitoring/support/notification-options and
https://docs.cloud.google.com/pubsub/docs/push#receive_push. What they mean for quell is in
docs/sources/cloud-monitoring.md.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connectors.sources.cloud_monitoring.labels import labels_of, scalar, text_of
from engine.core.alert import Alert, AlertStatus, fingerprint_of
from engine.core.json_value import Json
from engine.errors import PayloadError
from engine.ports import strict_json
from engine.ports.payload import (
    LabelNames,
    WrongField,
    bounded,
    instant,
    links_of,
    object_in,
    shown,
)
from engine.ports.source import Parsed

# "acknowledged" was one of Stackdriver's; it still fires.
STATES: Mapping[str, AlertStatus] = {
    "open": "firing",
    "acknowledged": "firing",
    "closed": "resolved",
}
TEST_VERSION = "test"
# Before any incident: orders a notice that doesn't say when it began before the one that ends it.
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
# No clock is that wrong, and something can still be added to it.
FAR_AHEAD = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the notifications of one source; `log_match_lasts` is for alerts that never end."""

    source: str
    names: LabelNames
    log_match_lasts: timedelta

    def read(self, body: Json, received_at: datetime) -> Parsed:
        """The alert of a notification, wrapped or not. Raises PayloadError."""
        if not isinstance(body, dict):
            raise PayloadError(f"expected an object with `incident`, got {shown(body)}")
        path = ""
        if "message" in body and "incident" not in body:
            path, body = "message.data.", unwrapped(body)
        if "incident" not in body and "group_info" in body:
            raise PayloadError("Error Reporting's notifications are not understood yet", path[:-1])
        incident = body.get("incident")
        if not isinstance(incident, dict):
            raise PayloadError(f"expected an object, got {shown(incident)}", f"{path}incident")
        is_test = str(body.get("version")).lower() == TEST_VERSION
        try:
            return Parsed([self._alert(incident, received_at, is_test=is_test)])
        except WrongField as wrong:
            raise PayloadError(wrong.problem, f"{path}incident.{wrong.field}") from wrong

    def _alert(
        self, incident: Mapping[str, Json], received_at: datetime, *, is_test: bool
    ) -> Alert:
        read = labels_of(incident)
        incident_id = read.labels.get("incident_id", "")
        if not incident_id:
            raise WrongField("incident_id", "nothing tells which incident it is")
        identity = {"incident_id": incident_id}
        if is_test:
            identity["test"] = read.labels["test"] = "true"
            read.labels["severity"] = "info"
            interval = _Interval("resolved", received_at, received_at, None)
        else:
            interval = self._interval(incident, received_at, read.labels.get("condition_kind", ""))
        alert = Alert(
            fingerprint=fingerprint_of(self.source, identity),
            source=self.source,
            name=read.labels.get("policy") or read.labels.get("condition", ""),
            status=interval.status,
            labels=read.labels,
            annotations=read.annotations | _annotations(incident),
            starts_at=interval.starts_at,
            ends_at=interval.ends_at,
            received_at=received_at,
            event_at=interval.event_at,
            expires_at=interval.expires_at,
            links=_links(incident),
            **self.names.fields(read.labels),
        )
        return bounded(alert)

    def _interval(
        self, incident: Mapping[str, Json], received_at: datetime, condition_kind: str
    ) -> "_Interval":
        """An incident opens and closes once, so its own two times order all of its notices."""
        state = text_of(incident, "state")
        status = STATES.get(state.lower())
        if status is None:
            problem = f"expected 'open' or 'closed', got {shown(incident.get('state'))}"
            raise WrongField("state", problem)
        began, ended = seconds_in(incident, "started_at"), seconds_in(incident, "ended_at")
        if status == "resolved":
            ends_at = max(ended or received_at, began or LONG_AGO)
            return _Interval(status, began or ends_at, ends_at, ends_at)
        starts_at = began or received_at
        expires_at = None
        if condition_kind == "matched_log":
            # Cloud Monitoring never tells the end of such an alert.
            expires_at = starts_at + self.log_match_lasts
            if expires_at <= received_at:
                expires_at = received_at + self.log_match_lasts
        return _Interval(status, starts_at, None, began or LONG_AGO, expires_at)


@dataclass(frozen=True, slots=True)
class _Interval:
    status: AlertStatus
    starts_at: datetime
    ends_at: datetime | None
    event_at: datetime | None
    expires_at: datetime | None = None


def unwrapped(body: Mapping[str, Json]) -> Mapping[str, Json]:
    """The object in the data of a Pub/Sub message. Raises PayloadError."""
    message = body.get("message")
    if not isinstance(message, dict):
        raise PayloadError(f"expected an object, got {shown(message)}", "message")
    data = message.get("data")
    if not isinstance(data, str) or not data:
        raise PayloadError(f"expected Base64, got {shown(data)}", "message.data")
    try:
        text = base64.b64decode(data, validate=True)
    except ValueError as error:
        raise PayloadError("expected Base64, got something else", "message.data") from error
    try:
        value = strict_json.decode(text)
    except PayloadError as error:
        raise PayloadError(error.problem, "message.data") from error
    if not isinstance(value, dict):
        problem = f"expected an object with `incident`, got {shown(value)}"
        raise PayloadError(problem, "message.data")
    return value


def seconds_in(of: Mapping[str, Json], name: str) -> datetime | None:
    """The time in a field: seconds since 1970 as a number or a text, or RFC 3339.

    None when absent, null, empty or 0. Raises WrongField.
    """
    value = of.get(name)
    wrong = WrongField(name, f"expected seconds since 1970, got {shown(value)}")
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise wrong
    try:
        if isinstance(value, str) and "T" in value.upper():
            at = instant(value)
        else:
            at = datetime.fromtimestamp(float(value), UTC) if float(value) else None
    except (ValueError, OverflowError, OSError) as error:
        raise wrong from error
    if at is not None and not LONG_AGO <= at < FAR_AHEAD:
        raise wrong
    return at


def _annotations(incident: Mapping[str, Json]) -> dict[str, str]:
    documentation = incident.get("documentation")
    if isinstance(documentation, dict):
        content = text_of(documentation, "content", "documentation.")
        subject = text_of(documentation, "subject", "documentation.")
    else:
        content, subject = scalar(documentation, "documentation"), ""
    found = {
        "summary": text_of(incident, "summary"),
        "documentation": content,
        "subject": subject,
        "observed_value": text_of(incident, "observed_value"),
        "threshold_value": text_of(incident, "threshold_value"),
        "query": _query(object_in(incident, "condition")),
    }
    return {name: text for name, text in found.items() if text}


def _query(condition: Mapping[str, Json]) -> str:
    """What the condition looks at, in the language of its kind."""
    for kind in condition.values():
        if isinstance(kind, dict):
            for name in ("query", "filter"):
                if isinstance(kind.get(name), str):
                    return scalar(kind[name], name)
    return ""


def _links(incident: Mapping[str, Json]) -> tuple[str, ...]:
    documentation = incident.get("documentation")
    listed = documentation.get("links") if isinstance(documentation, dict) else None
    links = listed if isinstance(listed, list) else []
    urls = [each.get("url") for each in links if isinstance(each, dict)]
    texts = [scalar(url, "url") for url in (incident.get("url"), *urls) if isinstance(url, str)]
    return links_of(texts)
