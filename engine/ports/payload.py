"""Reads what senders wrote: texts, times and labels, with a clear word about what is wrong."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Self, TypedDict, cast

from engine.core.alert import Alert, AlertStatus, SeverityHint, within_bounds
from engine.core.json_value import Json
from engine.errors import PayloadError
from engine.ports.credentials import Section
from engine.ports.source import Rejected

# RFC 3339; Go prints up to nine digits of a fraction, Azure seven, and other senders more. The
# colon in the offset is missing in what CloudWatch writes.
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:?[0-9]{2})",
    re.IGNORECASE,
)
_MAX_TIMESTAMP = 64
# Alerts of one body whose equal texts are kept once.
SHARED_FROM = 1_000
SEVERITY_HINTS: Mapping[str, SeverityHint] = {
    **dict.fromkeys(("critical", "crit", "emergency", "fatal", "page", "p1", "sev0"), "critical"),
    **dict.fromkeys(("error", "err", "high", "major", "p2", "sev1"), "error"),
    **dict.fromkeys(("warning", "warn", "medium", "minor", "p3", "sev2"), "warning"),
    **dict.fromkeys(("info", "information", "informational", "notice", "low", "p4"), "info"),
    # Azure's have a fifth: "verbose".
    **dict.fromkeys(("sev3", "sev4"), "info"),
}


class WrongField(Exception):  # noqa: N818 - a reader catches it; one alert is wrong, not we
    """What is wrong in one alert, and where, below the alert's own path."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field
        self.problem = problem


class CommonFields(TypedDict):
    """What every alert may have, "" where nothing tells it; see engine.core.alert.Alert."""

    service: str
    resource: str
    target: str
    environment: str
    team: str
    customer: str
    region: str
    severity_hint: SeverityHint


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

    def fields(self, labels: Mapping[str, str]) -> CommonFields:
        """The fields of an alert with these labels."""
        chosen = self._chosen(tuple(labels))
        service, resource, target, environment, team, customer, region, severity = chosen
        text = labels.get
        return {
            "service": text(service, ""),
            "resource": text(resource, ""),
            "target": text(target, ""),
            "environment": text(environment, ""),
            "team": text(team, ""),
            "customer": text(customer, ""),
            "region": text(region, ""),
            "severity_hint": SEVERITY_HINTS.get(text(severity, "").lower(), ""),
        }

    @cached_property
    def _chosen(self) -> Callable[[tuple[str, ...]], Sequence[str]]:
        # Most alerts of a source have the same few sets of labels.
        return lru_cache(maxsize=256)(self._choose)

    def _choose(self, labels: tuple[str, ...]) -> Sequence[str]:
        """The label for each field; "", which no label is called, where none tells it."""
        return [
            next((name for name in candidates if name in labels), "")
            for candidates in (
                *(self.service, self.resource, self.target, self.environment),
                *(self.team, self.customer, self.region, self.severity),
            )
        ]


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one body, storable; where it `shares`, equal ones become one object.

    That costs time, and saves memory where a body has many alerts.
    """

    shares: bool = True
    kept: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_alerts(cls, count: int) -> Self:
        """For a body with so many alerts."""
        return cls(shares=count >= SHARED_FROM)

    def keep(self, text: str) -> str:
        """The text as it can be stored."""
        return self.kept.get(text) or self.kept.setdefault(text, storable(text))

    def of_both(
        self, labels: Json, annotations: Json
    ) -> tuple[dict[str, str], dict[str, str], int | None]:
        """Labels and annotations as `of` reads them; null annotations are none.

        With the bytes of all their texts where these are plain and few, else None.
        """
        if annotations is None:
            annotations = {}
        if not self.shares and isinstance(labels, dict) and isinstance(annotations, dict):
            size = _plain_size(labels, annotations)
            if size is not None:
                return cast("dict[str, str]", labels), cast("dict[str, str]", annotations), size
        return self.of(labels, "labels"), self.of(annotations, "annotations"), None

    def of(self, value: Json, where: str) -> dict[str, str]:
        """An object of strings, without the empty ones: to Prometheus they are absent.

        Raises WrongField.
        """
        if not isinstance(value, dict):
            raise WrongField(where, f"expected an object of strings, got {shown(value)}")
        kept, texts = self.kept, {}
        if _plain_size(value) is not None:
            plain = cast("dict[str, str]", value)
            if not self.shares:
                return plain
            share = kept.setdefault
            return {share(name, name): share(text, text) for name, text in plain.items()}
        for key, text in value.items():
            if not isinstance(text, str):
                raise WrongField(f"{where}.{storable(key[:80])}", no_string(text))
            if not key:
                raise WrongField(where, f"the value {text[:80]!r} has no name")
            if text:
                texts[kept.get(key) or self.keep(key)] = kept.get(text) or self.keep(text)
        return texts


def bounded(alert: Alert, size: int | None = None) -> Alert:
    """The alert within quell's bounds; `size` is that of all its texts in bytes, where it is known.

    Raises WrongField for what may not be cut.
    """
    try:
        return within_bounds(alert, size)
    except PayloadError as error:
        raise WrongField(error.field, error.problem) from error


def read_each(
    raws: Sequence[Json], path: str, read: Callable[[Json], Alert]
) -> tuple[list[Alert], list[Rejected]]:
    """The alerts of a list at `path`; one in which `read` finds a WrongField is rejected alone."""
    alerts: list[Alert] = []
    rejected: list[Rejected] = []
    for index, raw in enumerate(raws):
        try:
            alerts.append(read(raw))
        except WrongField as wrong:
            where = f"{path}[{index}].{wrong.field}".removesuffix(".")
            rejected.append(Rejected(index, where, wrong.problem, raw_bytes(raw)))
    return alerts, rejected


def time_in(raw: Mapping[str, Json], where: str) -> datetime | None:
    """The time in a field; None when absent, null, empty or of year 1, which is Go's zero time.

    Raises WrongField.
    """
    text = raw.get(where)
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise WrongField(where, no_string(text))
    try:
        return instant(text)
    except (ValueError, OverflowError) as error:
        problem = f"expected a time like '2026-01-31T08:00:00Z', got {shown(text)}"
        raise WrongField(where, problem) from error


@lru_cache(maxsize=4096)
def instant(text: str) -> datetime | None:
    """An RFC 3339 time in UTC; None for year 1. Raises ValueError or OverflowError."""
    if len(text) > _MAX_TIMESTAMP or not _TIMESTAMP.fullmatch(text):
        raise ValueError(text)
    if text.startswith("0001-"):
        return None
    at = datetime.fromisoformat(text.upper())
    return at if at.tzinfo is UTC else at.astimezone(UTC)


def text_in(raw: Mapping[str, Json], where: str) -> str:
    """The text in a field, "" when absent or null. Raises WrongField."""
    text = raw.get(where)
    if text is None:
        return ""
    if not isinstance(text, str):
        raise WrongField(where, no_string(text))
    return storable(text)


def status_in(raw: Mapping[str, Json]) -> AlertStatus:
    """The `status` of an alert. Raises WrongField."""
    match raw.get("status"):
        case "firing":
            return "firing"
        case "resolved":
            return "resolved"
        case other:
            raise WrongField("status", f"expected 'firing' or 'resolved', got {shown(other)}")


def object_in(raw: Mapping[str, Json], where: str) -> Mapping[str, Json]:
    """The object in a field, {} when absent or null. Raises WrongField."""
    value = raw.get(where)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WrongField(where, f"expected an object, got {shown(value)}")
    return value


def links_of(candidates: Sequence[str]) -> tuple[str, ...]:
    """Those that lead to a page: people will click on them, and a sender decides what they are."""
    return tuple([link for link in candidates if link.startswith(("https://", "http://"))])


def storable(text: str) -> str:
    """Without lone surrogates, which UTF-8 can't hold, and NUL, which PostgreSQL's text can't.

    They become U+FFFD, so that the alert isn't lost for a broken character.
    """
    if text.isascii() and "\0" not in text:
        return text
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.replace("\0", "\ufffd")


def no_string(value: Json) -> str:
    """What is wrong with a value that should be a text."""
    return f"expected a string, got {shown(value)}"


def shown(value: Json) -> str:
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


def raw_bytes(raw: Json) -> bytes:
    """A part of a body as it is kept."""
    # ASCII, because a lone surrogate may be what was wrong with it.
    return json.dumps(raw, separators=(",", ":")).encode()


def _plain_size(*objects: dict[str, Json]) -> int | None:
    """The bytes of all names and values; None where one isn't a plain text with something in it."""
    texts: list[Json] = []
    for each in objects:
        texts += each
        texts += each.values()
    try:
        written = "".join(texts)  # type: ignore[arg-type]
    except TypeError:
        return None
    return len(written) if written.isascii() and "\0" not in written and all(texts) else None
