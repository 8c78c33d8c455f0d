"""Prometheus Alertmanager: its webhook (version 4) and its own API's body, which Prometheus sends.

Formats: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config and Alertmanager's
api/v2/openapi.yaml (`postableAlerts`). What both mean for quell is in docs/sources/alertmanager.md.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from pydantic import Field

from connectors.sources.alertmanager.credentials import BasicCredentials, Secret, Section
from connectors.sources.alertmanager.firing import FiringApiConfig, ask
from engine.core.alert import (
    Alert,
    AlertStatus,
    Occurrence,
    SeverityHint,
    fingerprint_of,
    within_bounds,
)
from engine.core.json_value import Json
from engine.core.still_firing import Confirmation, by_last_notice
from engine.errors import PayloadError
from engine.ports.source import Parsed, Rejected

KIND = "alertmanager"
API_FORM = "api"

# RFC 3339; Go prints up to nine digits of a fraction and other senders more.
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})",
    re.IGNORECASE,
)
_MAX_TIMESTAMP = 64
_HINTS: Mapping[str, SeverityHint] = {
    **dict.fromkeys(("critical", "crit", "emergency", "fatal", "page", "p1"), "critical"),
    **dict.fromkeys(("error", "err", "high", "major", "p2"), "error"),
    **dict.fromkeys(("warning", "warn", "medium", "minor", "p3"), "warning"),
    **dict.fromkeys(("info", "information", "informational", "notice", "low", "p4"), "info"),
}


class LabelNames(Section):
    """Which labels fill an alert's fields: the first of a list that an alert has."""

    service: tuple[str, ...] = ("service", "job")
    resource: tuple[str, ...] = ("resource", "instance", "pod", "host", "hostname", "node")
    target: tuple[str, ...] = ("target", "instance", "host", "hostname", "node", "nodename")
    environment: tuple[str, ...] = ("environment", "env")
    team: tuple[str, ...] = ("team",)
    customer: tuple[str, ...] = ("customer", "tenant")
    region: tuple[str, ...] = ("region",)
    severity: tuple[str, ...] = ("severity",)


class AlertmanagerConfig(Section):
    """One Alertmanager or Prometheus, or a pair of them, as a source.

    Any of the credentials lets a sender in, so that one can be replaced while both are in use.
    Without credentials only loopback senders get in. `api` is where it can be asked what fires;
    without, an alert's last notice counts for `last_notice_counts_s`: set it above the route's
    `repeat_interval`.
    """

    name: str = Field(default=KIND, pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    bearer: tuple[Secret, ...] = ()
    basic: tuple[BasicCredentials, ...] = ()
    max_body_mib: int = Field(default=32, ge=1, le=256)
    resolve_timeout_s: float = Field(default=300.0, gt=0)
    api: FiringApiConfig | None = None
    last_notice_counts_s: float = Field(default=5 * 3600.0, gt=0)
    labels: LabelNames = LabelNames()


class AlertmanagerSource:
    """The Source port over one configuration."""

    def __init__(self, config: AlertmanagerConfig) -> None:
        self._config = config
        self._resolve_timeout = timedelta(seconds=config.resolve_timeout_s)
        self._accepted = tuple(
            hashlib.sha256(credential).digest()
            for credential in (
                *(b"bearer " + token.get_secret_value().encode() for token in config.bearer),
                *(
                    b"basic " + f"{user.user}:{user.password.get_secret_value()}".encode()
                    for user in config.basic
                ),
            )
        )

    @property
    def name(self) -> str:
        """As configured."""
        return self._config.name

    @property
    def max_body_bytes(self) -> int:
        """As configured, in bytes."""
        return self._config.max_body_mib * 1024 * 1024

    @property
    def has_credentials(self) -> bool:
        """See Source."""
        return bool(self._accepted)

    def authenticated(self, headers: Mapping[str, str]) -> bool:
        """Whether `authorization` holds one of the credentials; False where none is configured."""
        offered = hashlib.sha256(_credential(headers.get("authorization", ""))).digest()
        # All are compared, by digests of one length: the time tells neither which one nor how far.
        found = False
        for accepted in self._accepted:
            found |= hmac.compare_digest(accepted, offered)
        return found

    async def still_firing(self, occurrence: Occurrence, now: datetime) -> Confirmation:
        """See Source."""
        if self._config.api is not None:
            return await ask(self._config.api, occurrence)
        ttl = timedelta(seconds=self._config.last_notice_counts_s)
        return by_last_notice(occurrence, now, ttl)

    def parse(self, body: Json, received_at: datetime, *, form: str = "") -> Parsed:
        """The alerts of a webhook's object or of the API's list; `form` "api" allows only the list.

        One wrong alert is rejected alone, with the path of its first wrong field. Raises
        PayloadError when the body is neither shape.
        """
        reader = _Reader(self.name, self._config.labels, self._resolve_timeout, received_at)
        if isinstance(body, list):
            return reader.read(body, "", from_api=True)
        if form == API_FORM:
            raise PayloadError(f"expected a list of alerts, got {_shown(body)}")
        if not isinstance(body, dict):
            raise PayloadError(f"expected an object with `alerts`, got {_shown(body)}")
        alerts = body.get("alerts")
        if not isinstance(alerts, list):
            raise PayloadError(f"expected a list of alerts, got {_shown(alerts)}", "alerts")
        return reader.read(alerts, "alerts", from_api=False, truncated=body.get("truncatedAlerts"))


def _credential(authorization: str) -> bytes:
    """`scheme secret` in one spelling: the scheme in lower case, Basic decoded.

    HTTP libraries decode a header as Latin-1, which is undone here.
    """
    scheme, _, secret = authorization.strip().partition(" ")
    raw = secret.strip().encode("latin-1", "replace")
    if scheme.lower() == "basic":
        try:
            raw = base64.b64decode(raw, validate=True)
        except binascii.Error:
            return b""
    return scheme.lower().encode("latin-1", "replace") + b" " + raw


class _WrongField(Exception):  # noqa: N818 - it never leaves this file; one alert is wrong, not we
    """What is wrong in one alert, and where, below the alert's own path."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field
        self.problem = problem


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the alerts of one body; equal texts in it become one object."""

    source: str
    names: LabelNames
    resolve_timeout: timedelta
    received_at: datetime
    kept: dict[str, str] = field(default_factory=dict)

    def read(
        self, raws: Sequence[Json], path: str, *, from_api: bool, truncated: Json = None
    ) -> Parsed:
        alerts: list[Alert] = []
        rejected: list[Rejected] = []
        for index, raw in enumerate(raws):
            try:
                alerts.append(self._alert(raw, from_api=from_api))
            except _WrongField as wrong:
                where = f"{path}[{index}].{wrong.field}" if wrong.field else f"{path}[{index}]"
                rejected.append(Rejected(index, where, wrong.problem, _bytes_of(raw)))
        left_out = 0
        if (
            isinstance(truncated, int)
            and not isinstance(truncated, bool)
            and 0 <= truncated < 2**31
        ):
            left_out = truncated
        elif truncated is not None:
            problem = f"expected a count, got {_shown(truncated)}"
            rejected.append(Rejected(-1, "truncatedAlerts", problem, _bytes_of(truncated)))
        return Parsed(alerts, rejected, left_out)

    def _alert(self, raw: Json, *, from_api: bool) -> Alert:
        if not isinstance(raw, dict):
            raise _WrongField("", f"expected an object, got {_shown(raw)}")
        labels = self._texts(raw.get("labels"), "labels")
        if not labels:
            raise _WrongField("labels", "no label has a value, so nothing tells which alert it is")
        said = raw.get("annotations")
        annotations = {} if said is None else self._texts(said, "annotations")
        interval = self._interval_of_api(raw) if from_api else self._interval_of_webhook(raw)
        names = self.names
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
            service=_first(labels, names.service),
            resource=_first(labels, names.resource),
            target=_first(labels, names.target),
            environment=_first(labels, names.environment),
            team=_first(labels, names.team),
            customer=_first(labels, names.customer),
            region=_first(labels, names.region),
            severity_hint=_HINTS.get(_first(labels, names.severity).lower(), ""),
            links=self._links(raw, annotations),
        )
        try:
            return within_bounds(alert)
        except PayloadError as error:
            raise _WrongField(error.field, error.problem) from error

    def _interval_of_webhook(self, raw: Mapping[str, Json]) -> "_Interval":
        """The status decides; a firing alert's end is year 1, or a guess that binds nobody."""
        starts_at = _time(raw, "startsAt") or self.received_at
        ends_at = _time(raw, "endsAt")
        match raw.get("status"):
            case "firing":
                return _Interval("firing", starts_at)
            case "resolved":
                return _Interval("resolved", starts_at, ends_at=ends_at)
            case other:
                problem = f"expected 'firing' or 'resolved', got {_shown(other)}"
                raise _WrongField("status", problem)

    def _interval_of_api(self, raw: Mapping[str, Json]) -> "_Interval":
        """No status: a past end says resolved, a later one how long the alert counts unless resent.

        Without an end it counts for the resolve timeout, as in Alertmanager.
        """
        starts_at, ends_at = _time(raw, "startsAt"), _time(raw, "endsAt")
        if ends_at is not None and ends_at <= self.received_at:
            return _Interval("resolved", starts_at or ends_at, ends_at=ends_at)
        expires_at = ends_at or self.received_at + self.resolve_timeout
        return _Interval("firing", starts_at or self.received_at, expires_at=expires_at)

    def _texts(self, value: Json, where: str) -> dict[str, str]:
        """An object of strings, without the empty ones: to Prometheus they are absent."""
        if not isinstance(value, dict):
            raise _WrongField(where, f"expected an object of strings, got {_shown(value)}")
        kept, texts = self.kept, {}
        for key, text in value.items():
            if not isinstance(text, str):
                raise _WrongField(f"{where}.{_storable(key[:80])}", _no_string(text))
            if not key:
                raise _WrongField(where, f"the value {text[:80]!r} has no name")
            if text:
                texts[kept.get(key) or self._keep(key)] = kept.get(text) or self._keep(text)
        return texts

    def _keep(self, text: str) -> str:
        return self.kept.setdefault(text, _storable(text))

    def _links(self, raw: Mapping[str, Json], annotations: Mapping[str, str]) -> tuple[str, ...]:
        generator = raw.get("generatorURL")
        if generator is not None and not isinstance(generator, str):
            raise _WrongField("generatorURL", _no_string(generator))
        candidates = (
            self._keep(generator or ""),
            annotations.get("runbook_url", ""),
            annotations.get("dashboard_url", ""),
        )
        # People will click on them, and a sender decides what they are.
        return tuple(link for link in candidates if link.startswith(("https://", "http://")))


@dataclass(frozen=True, slots=True)
class _Interval:
    status: AlertStatus
    starts_at: datetime
    ends_at: datetime | None = None
    expires_at: datetime | None = None


def _time(raw: Mapping[str, Json], where: str) -> datetime | None:
    """The time in a field; None when absent, null, empty or of year 1, which is Go's zero time."""
    text = raw.get(where)
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise _WrongField(where, _no_string(text))
    try:
        return _instant(text)
    except (ValueError, OverflowError) as error:
        problem = f"expected a time like '2026-01-31T08:00:00Z', got {_shown(text)}"
        raise _WrongField(where, problem) from error


@lru_cache(maxsize=4096)
def _instant(text: str) -> datetime | None:
    if len(text) > _MAX_TIMESTAMP or not _TIMESTAMP.fullmatch(text):
        raise ValueError(text)
    if text.startswith("0001-"):
        return None
    return datetime.fromisoformat(text.upper()).astimezone(UTC)


def _first(labels: Mapping[str, str], names: Sequence[str]) -> str:
    return next((labels[name] for name in names if name in labels), "")


def _storable(text: str) -> str:
    """Without lone surrogates, which UTF-8 can't hold, and NUL, which PostgreSQL's text can't.

    They become U+FFFD, so that the alert isn't lost for a broken character.
    """
    if text.isascii() and "\0" not in text:
        return text
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.replace("\0", "\ufffd")


def _no_string(value: Json) -> str:
    return f"expected a string, got {_shown(value)}"


def _shown(value: Json) -> str:
    """What a value is, for the person who mends the sender."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value!r}"
        case str():
            return f"{value[:80]!r}"
        case list():
            return "a list"
        case _:
            return "an object"


def _bytes_of(raw: Json) -> bytes:
    # ASCII, because a lone surrogate may be what was wrong with it.
    return json.dumps(raw, separators=(",", ":")).encode()
