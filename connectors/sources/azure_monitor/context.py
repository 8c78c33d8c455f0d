"""Reads an alert's context, which each service shapes in its own way, without ever failing.

What isn't of the expected type is as if it weren't there: the essentials tell what matters.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.sources.azure_monitor.kinds import ANNOTATION_FIELDS, LABEL_FIELDS, LINK_FIELDS
from engine.core.json_value import Json
from engine.ports.payload import WrongField, storable, time_in

# As log alerts of version 1 write it, in UTC: 3/22/2019 1:36:31 PM.
_AMERICAN = re.compile(r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4} [0-9]{1,2}:[0-9]{2}:[0-9]{2} [AP]M")
# "['Microsoft.Compute/virtualMachines']", as Python would write a list.
_QUOTED = re.compile(r"'([^']*)'")


@dataclass(frozen=True, slots=True)
class Context:
    """What a context says. `scope` is the id of what it is about, "" where it doesn't say."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    dimensions: Mapping[str, str]
    prometheus_labels: Mapping[str, str]
    prometheus_annotations: Mapping[str, str]
    links: Sequence[str]
    scope: str
    event_at: datetime | None


def context_of(raw: Mapping[str, Json], *, is_event: bool) -> Context:
    """Reads any context; `is_event`: its `properties` are an event's, and else a rule's."""
    condition = _members(raw.get("condition"))
    criteria = [_members(each) for each in _items(condition.get("allOf"))]
    budget = _members(raw.get("AlertData"))
    parts = [raw, condition, *criteria[:1], budget]
    if is_event:
        parts.append(_members(raw.get("properties")))
    fields = _flat(parts)
    annotations = {"condition": "; ".join(filter(None, map(_criterion, criteria or [raw])))}
    for name, value in _named(ANNOTATION_FIELDS, fields):
        annotations.setdefault(name, _in_plain_words(name, value))
    dimensions = [*_items(raw.get("Dimensions"))]
    for criterion in criteria:
        dimensions += _items(criterion.get("dimensions"))
    return Context(
        labels=dict(_named(LABEL_FIELDS, fields)),
        annotations=annotations,
        dimensions=_pairs(dimensions),
        prometheus_labels=_strings(raw.get("labels")),
        prometheus_annotations=_strings(raw.get("annotations")),
        links=[text for name in LINK_FIELDS if (text := text_of(fields.get(name)))],
        scope=text_of(_members(raw.get("authorization")).get("scope"))
        or text_of(budget.get("BudgetId"))
        or (text_of(fields.get("resourcename")) if is_event else ""),
        event_at=_time_or_none(raw, "eventTimestamp"),
    )


def text_of(value: Json) -> str:
    """A text, a number or a truth as a text; "" for the rest, and for a text that is too odd.

    Fields that are texts for one service are numbers for another.
    """
    match value:
        case str():
            return storable(value)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return json.dumps(value)
        case _:
            return ""


def time_of(raw: Mapping[str, Json], where: str) -> datetime | None:
    """A time with any fraction, or in the American way; None when absent. Raises WrongField."""
    text = raw.get(where)
    if isinstance(text, str) and _AMERICAN.fullmatch(text):
        try:
            return datetime.strptime(text, "%m/%d/%Y %I:%M:%S %p").replace(tzinfo=UTC)
        except ValueError as error:
            raise WrongField(where, f"there is no such time: {text!r}") from error
    return time_in(raw, where)


def _time_or_none(raw: Mapping[str, Json], where: str) -> datetime | None:
    try:
        return time_of(raw, where)
    except WrongField:
        return None


def _flat(parts: Sequence[Mapping[str, Json]]) -> Mapping[str, Json]:
    """The fields of all parts by their name in lower case; the first that says anything stands."""
    fields: dict[str, Json] = {}
    for part in parts:
        for key, value in part.items():
            if text_of(value):
                fields.setdefault(key.lower(), value)
    return fields


def _named(names: Mapping[str, str], fields: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    for field, name in names.items():
        if text := text_of(fields.get(field)):
            yield name, text


def _in_plain_words(name: str, value: str) -> str:
    if name in ("window_start", "window_end"):
        at = _time_or_none({name: value}, name)
        return value if at is None else at.isoformat()
    if name == "target_resource_types":
        return ", ".join(_QUOTED.findall(value)) or value
    return value


def _criterion(raw: Mapping[str, Json]) -> str:
    """`avg of Percentage CPU GreaterThan 25: 31.1105`, with thresholds as texts or numbers."""
    fields = _flat([raw])
    threshold, operator = text_of(fields.get("threshold")), text_of(fields.get("operator"))
    if not (threshold and operator):
        return ""
    measured = [text_of(fields.get(name)) for name in ("timeaggregation", "metricname")]
    said = " ".join([*filter(None, measured), operator, threshold])
    value = text_of(fields.get("metricvalue")) or text_of(fields.get("resultcount"))
    return f"{said}: {value}" if value else said


def _pairs(dimensions: Sequence[Json]) -> Mapping[str, str]:
    """Name to value; where two conditions differ in one, the first stands."""
    found: dict[str, str] = {}
    for each in map(_members, dimensions):
        found.setdefault(text_of(each.get("name")), text_of(each.get("value")))
    return found


def _strings(value: Json) -> Mapping[str, str]:
    return {storable(key): text_of(each) for key, each in _members(value).items()}


def _members(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _items(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list) else ()
