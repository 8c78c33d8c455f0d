"""CloudEvents 1.0 in their three forms over HTTP: structured, batch and binary.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md and
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import base64
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from engine.core.json_value import Json, JsonObject
from engine.errors import PayloadError
from engine.ports import strict_json
from engine.ports.payload import WrongField, shown
from engine.ports.source import Sender

_STRUCTURED = "application/cloudevents"
_BATCH = "application/cloudevents-batch"
_PREFIX = "ce-"


def events_in(body: Json, sender: Sender) -> Sequence[Json] | None:
    """The events of a body as they are written in JSON, or None where it is something else.

    What a body looks like tells it too, so that one can be replayed without its headers. Raises
    PayloadError where the content type says that there are events and there are none.
    """
    kind = sender.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith(_BATCH):
        if not isinstance(body, list):
            raise PayloadError(f"expected a list of events, got {shown(body)}")
        return body
    if kind.startswith(_STRUCTURED):
        return [body]
    if "ce-specversion" in sender.headers:
        return [_from_headers(sender.headers, body)]
    if _is_event(body):
        return [body]
    if isinstance(body, list) and body and all(map(_is_event, body)):
        return body
    return None


def event_of(raw: Json) -> JsonObject:
    """A sound event whose data is under `data`. Raises WrongField."""
    if not isinstance(raw, dict):
        raise WrongField("", f"expected an event, got {shown(raw)}")
    if raw.get("specversion") != "1.0":
        raise WrongField("specversion", f"expected '1.0', got {shown(raw.get('specversion'))}")
    for name in ("id", "source", "type"):
        if not isinstance(raw.get(name), str) or not raw[name]:
            raise WrongField(name, f"expected a text, got {shown(raw.get(name))}")
    if "data_base64" not in raw:
        return raw
    try:
        data = strict_json.decode(base64.b64decode(str(raw["data_base64"]), validate=True))
    except PayloadError as error:
        raise WrongField("data_base64", error.problem) from error
    except ValueError as error:
        raise WrongField("data_base64", f"this is no base64: {error}") from error
    return {name: value for name, value in raw.items() if name != "data_base64"} | {"data": data}


def _is_event(value: Json) -> bool:
    return isinstance(value, dict) and "specversion" in value and "type" in value


def _from_headers(headers: Mapping[str, str], data: Json) -> JsonObject:
    """The same event in one piece, which can be kept and replayed."""
    attributes = {
        name.removeprefix(_PREFIX): unquote(value)
        for name, value in headers.items()
        if name.startswith(_PREFIX)
    }
    return {**attributes, "data": data}
