"""Notices of quell's own shape, in events of the type `quell.notice.v1`.

docs/schemas/notice-v1.json is the shape of `data`; what isn't in it is passed over.
"""

from collections.abc import Mapping
from datetime import datetime

from engine.core.alert import Alert, SeverityHint, fingerprint_of, within_bounds
from engine.core.json_value import Json, JsonObject
from engine.errors import PayloadError
from engine.ports.payload import (
    SEVERITY_HINTS,
    LabelNames,
    Texts,
    WrongField,
    links_of,
    no_string,
    object_in,
    shown,
    status_in,
    storable,
    text_in,
    time_in,
)

TYPE = "quell.notice.v1"


def alert_of(event: JsonObject, source: str, names: LabelNames, received_at: datetime) -> Alert:
    """The alert of a notice; its event's source, its name and labels identify it.

    Raises WrongField.
    """
    data = event.get("data")
    if not isinstance(data, dict):
        raise WrongField("data", f"expected an object, got {shown(data)}")
    try:
        return within_bounds(_alert(event, data, source, names, received_at))
    except WrongField as wrong:
        where = wrong.field if wrong.field == "time" else f"data.{wrong.field}"
        raise WrongField(where, wrong.problem) from wrong
    except PayloadError as error:
        raise WrongField(f"data.{error.field}", error.problem) from error


def _alert(
    event: JsonObject,
    data: Mapping[str, Json],
    source: str,
    names: LabelNames,
    received_at: datetime,
) -> Alert:
    texts = Texts(shares=False)
    name, status = text_in(data, "name"), status_in(data)
    if not name:
        raise WrongField("name", f"expected a text, got {shown(data.get('name'))}")
    labels = texts.of(object_in(data, "labels"), "labels")
    event_at = time_in(event, "time")
    starts_at = time_in(data, "starts_at") or event_at or received_at
    ends_at, expires_at = time_in(data, "ends_at"), time_in(data, "expires_at")
    fields = names.fields(labels)
    return Alert(
        fingerprint=fingerprint_of(
            source,
            {"source": storable(str(event["source"])), "name": name}
            | {f"labels.{label}": value for label, value in labels.items()},
        ),
        source=source,
        name=name,
        status=status,
        labels=labels,
        annotations=texts.of(object_in(data, "annotations"), "annotations"),
        starts_at=starts_at,
        ends_at=ends_at if status == "resolved" else None,
        received_at=received_at,
        event_at=event_at,
        expires_at=expires_at if status == "firing" else None,
        links=_links(data),
        **fields | {"severity_hint": _hint(data) or fields["severity_hint"]},
    )


def _hint(data: Mapping[str, Json]) -> SeverityHint:
    return SEVERITY_HINTS.get(text_in(data, "severity_hint").lower(), "")


def _links(data: Mapping[str, Json]) -> tuple[str, ...]:
    links = data.get("links")
    if links is None:
        return ()
    if not isinstance(links, list):
        raise WrongField("links", f"expected a list of texts, got {shown(links)}")
    for index, link in enumerate(links):
        if not isinstance(link, str):
            raise WrongField(f"links[{index}]", no_string(link))
    return links_of([storable(str(link)) for link in links])
