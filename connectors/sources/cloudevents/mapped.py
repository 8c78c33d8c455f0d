"""What a mapping's expressions gave, as an alert."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from engine.core.alert import Alert, AlertStatus, fingerprint_of
from engine.core.alert_mapping import Mapped
from engine.core.durations import parse_duration
from engine.ports.payload import (
    SEVERITY_HINTS,
    CommonFields,
    LabelNames,
    WrongField,
    bounded,
    instant,
    links_of,
    storable,
)

_EXAMPLE = "'2026-01-31T08:00:00Z', Unix seconds or timestamp(…)"


def alert_of(mapped: Mapped, source: str, names: LabelNames, received_at: datetime) -> Alert:
    """The alert; `identity` identifies it, and without one its name and labels do.

    Raises WrongField.
    """
    values = mapped.values
    status, name = _status(values), _text(values, "name")
    if not name:
        raise WrongField("name", "it is empty")
    labels, identity = _texts(values, "labels"), _texts(values, "identity")
    if not identity:
        if not labels:
            which = "identity" if "identity" in values else "labels"
            raise WrongField(which, "no value is there, so nothing tells which alert it is")
        identity = {"name": name} | {f"labels.{label}": text for label, text in labels.items()}
    event_at = _time(values, "event_at")
    ends_at = _time(values, "ends_at")
    alert = Alert(
        fingerprint=fingerprint_of(source, identity),
        source=source,
        name=name,
        status=status,
        labels=labels,
        annotations=_texts(values, "annotations"),
        starts_at=_time(values, "starts_at") or event_at or received_at,
        ends_at=ends_at if status == "resolved" else None,
        received_at=received_at,
        event_at=event_at,
        expires_at=_expiry(values, received_at) if status == "firing" else None,
        links=_links(values),
        **_fields(values, names, labels),
    )
    return bounded(alert)


def _status(values: Mapping[str, object]) -> AlertStatus:
    match _text(values, "status"):
        case "firing":
            return "firing"
        case "resolved":
            return "resolved"
        case other:
            raise WrongField("status", f"expected 'firing' or 'resolved', got {other[:80]!r}")


def _fields(
    values: Mapping[str, object], names: LabelNames, labels: Mapping[str, str]
) -> CommonFields:
    """As the expressions say, and where they say nothing as the labels do."""
    fields = names.fields(labels)
    return {
        "service": _text(values, "service") or fields["service"],
        "resource": _text(values, "resource") or fields["resource"],
        "target": _text(values, "target") or fields["target"],
        "environment": _text(values, "environment") or fields["environment"],
        "team": _text(values, "team") or fields["team"],
        "customer": _text(values, "customer") or fields["customer"],
        "region": _text(values, "region") or fields["region"],
        "severity_hint": SEVERITY_HINTS.get(
            _text(values, "severity_hint").lower(), fields["severity_hint"]
        ),
    }


def _text(values: Mapping[str, object], field: str) -> str:
    # The mapping was compiled so that these give texts.
    return storable(str(values.get(field, "")))


def _texts(values: Mapping[str, object], field: str) -> dict[str, str]:
    """Numbers and truths become texts, and what is null or empty is absent."""
    found = values.get(field, {})
    assert isinstance(found, dict)  # the mapping was compiled so
    texts = {}
    for key, value in found.items():
        name = storable(str(key))
        if isinstance(value, bool | int | float):
            texts[name] = json.dumps(value)
        elif isinstance(value, str):
            texts[name] = storable(value)
        elif value is not None:
            what = f"expected a text, a number or a truth, got {_kind(value)}"
            raise WrongField(f"{field}.{name[:80]}", what)
    return {name: text for name, text in texts.items() if name and text}


def _time(values: Mapping[str, object], field: str) -> datetime | None:
    """A timestamp, RFC 3339 or Unix seconds; None when absent, null, empty or of year 1."""
    value = values.get(field)
    try:
        match value:
            case None | "":
                return None
            case datetime():
                return None if value.year == 1 else value.astimezone(UTC)
            case str():
                return instant(value)
            case int() | float() if not isinstance(value, bool):
                return datetime.fromtimestamp(value, UTC)
            case _:
                raise WrongField(field, f"expected {_EXAMPLE}, got {_kind(value)}")
    except (ValueError, OverflowError, OSError) as error:
        raise WrongField(field, f"expected {_EXAMPLE}, got {str(value)[:80]!r}") from error


def _expiry(values: Mapping[str, object], received_at: datetime) -> datetime | None:
    value = values.get("ttl")
    if value is None:
        return _time(values, "expires_at")
    try:
        match value:
            case timedelta():
                span = value
            case str():
                span = parse_duration(value)
            case int() | float() if not isinstance(value, bool):
                span = timedelta(seconds=value)
            case _:
                raise WrongField("ttl", f"expected '5m' or seconds, got {_kind(value)}")
        if span <= timedelta():
            raise WrongField("ttl", f"{span} is no time at all")
        return received_at + span
    except (ValueError, OverflowError) as error:
        raise WrongField("ttl", f"expected '5m' or seconds, got {str(value)[:80]!r}") from error


def _links(values: Mapping[str, object]) -> tuple[str, ...]:
    links = values.get("links", ())
    assert isinstance(links, list)  # the mapping was compiled so
    return links_of([storable(str(link)) for link in links])


def _kind(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return f"a {type(value).__name__}"
