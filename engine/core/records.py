"""What travels on the stream: CloudEvents 1.0 in JSON, an alert or a tick each.

Source of the envelope: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar

import msgspec
from pydantic import TypeAdapter, ValidationError

from engine.core.alert import Alert, AlertStatus, within_bounds
from engine.core.ids import derived_id
from engine.core.journal import to_us
from engine.core.readable_struct import ReadableStruct
from engine.errors import PayloadError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tick:
    """A timer that came due; the pipeline decides on it like on any record.

    `subject` is a fingerprint (occurrence_expiry, hold_due, storm_brake), an incident's id
    (incident_close, incident_age, incident_calm), a group's (absence), an occurrence's
    (absorption) or a run's (revert).
    """

    timer: Literal[
        "occurrence_expiry",
        "hold_due",
        "absence",
        "absorption",
        "incident_close",
        "incident_age",
        "incident_calm",
        "storm_brake",
        "revert",
    ]
    subject: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Glance:
    """The few words of an alert by which most need no closer look."""

    fingerprint: str
    name: str
    status: AlertStatus
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _GlanceEnvelope:
    data: Glance


class _AlertEnvelope(ReadableStruct, frozen=True, gc=False):
    id: str
    source: str
    time: datetime
    data: Alert
    type: Literal["quell.alert.v1"] = "quell.alert.v1"
    specversion: Literal["1.0"] = "1.0"


@dataclass(frozen=True, slots=True)
class _TickEnvelope:
    id: str
    source: str
    time: datetime
    data: Tick
    type: Literal["quell.tick.v1"] = "quell.tick.v1"
    specversion: Literal["1.0"] = "1.0"


def timer_tick(key: str, due_at: datetime) -> Tick:
    """The tick of a timer task with the key `<timer>/<subject>`. Raises PayloadError."""
    timer, _, subject = key.partition("/")
    try:
        return _TIMER.validate_python({"timer": timer, "subject": subject, "due_at": due_at})
    except ValidationError as error:
        raise PayloadError(f"{key!r} is no timer") from error


def _reader(model: type[T]) -> Callable[[bytes], T]:
    """Reads JSON; what it raises is a PayloadError that names the field.

    msgspec takes a quarter of pydantic's time, and pydantic says better what is wrong: so that one
    is asked about what the other refuses, and has the last word.
    """
    quickly = msgspec.json.Decoder(model).decode
    carefully = TypeAdapter(model).validate_json

    def read(text: bytes) -> T:
        try:
            return quickly(text)
        except (ValueError, RecursionError):
            pass
        try:
            return carefully(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise PayloadError(str(first["msg"]), ".".join(map(str, first["loc"]))) from error

    return read


_TIMER = TypeAdapter(Tick)
_read_plain_alert = _reader(Alert)
_read_alert = _reader(_AlertEnvelope)
_read_tick = _reader(_TickEnvelope)
_read_glance = _reader(_GlanceEnvelope)
_write = msgspec.json.Encoder().encode
_TICK_MARK = b'"type":"quell.tick.v1"'


def encode_alert(alert: Alert) -> bytes:
    """The record of an alert; its id is fingerprint, status and time of receipt."""
    at = alert.received_at
    return _write(
        _AlertEnvelope(
            id=f"{alert.fingerprint}-{alert.status}-{to_us(at)}",
            source=f"/quell/sources/{alert.source}",
            time=at,
            data=alert,
        )
    )


def alert_json(alert: Alert) -> str:
    """An alert alone, as one line of JSON."""
    return _write(alert).decode()


def alert_of_json(text: bytes) -> Alert:
    """What `alert_json` wrote. Raises PayloadError naming the field."""
    return within_bounds(_read_plain_alert(text), len(text))


def encode_tick(tick: Tick, now: datetime) -> bytes:
    """The record of a due timer."""
    envelope = _TickEnvelope(
        id=derived_id("tick", tick.timer, tick.subject, tick.due_at.isoformat()),
        source="/quell/timers",
        time=now,
        data=tick,
    )
    return _write(envelope)


def decode_record(value: bytes) -> Alert | Tick:
    """The alert or tick of a record. Raises PayloadError naming the field.

    The bounds of an alert are asked for here too: others may write to the stream.
    """
    if _TICK_MARK in value:
        return _read_tick(value).data
    return within_bounds(_read_alert(value).data, len(value))


def glance(value: bytes) -> Glance | Tick:
    """A tick, or as much of an alert as a third of `decode_record`'s time gives.

    Raises PayloadError; takes all that `decode_record` takes.
    """
    return _read_tick(value).data if _TICK_MARK in value else _read_glance(value).data
