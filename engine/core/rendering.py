"""JSON with templates in it, rendered when the values behind its names are known."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from engine.core.durations import format_duration
from engine.core.expressions import Bindings
from engine.core.json_value import Json
from engine.core.templates import Template

Renderable: TypeAlias = (
    "Template | bool | int | float | str | Sequence[Renderable] | Mapping[str, Renderable] | None"
)


def render(value: Renderable, bindings: Bindings) -> Json:
    """Plain JSON; raises ExpressionFailedError when an expression has no value."""
    if isinstance(value, Template):
        return _as_json(value.evaluate(bindings))
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return {key: render(each, bindings) for key, each in value.items()}
    if isinstance(value, Sequence):
        return [render(each, bindings) for each in value]
    return value


def _as_json(value: object) -> Json:
    """Times become text: RFC 3339 and Prometheus durations."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case timedelta():
            return format_duration(value)
        case datetime():
            return value.isoformat()
        case Mapping():
            return {str(key): _as_json(each) for key, each in value.items()}
        case Sequence():
            return [_as_json(each) for each in value]
        case _:
            return str(value)
