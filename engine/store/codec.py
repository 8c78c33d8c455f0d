"""Frozen dataclasses and structs as JSON documents.

Times are integer microseconds, enums their values.

A document from before a field was added decodes with the field's default, and one from after
decodes without it: replicas of two versions work side by side.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Generic, Literal, TypeVar, Union

import orjson
from msgspec import Struct, structs

from engine.core.journal import from_us, to_us

T = TypeVar("T")
# None: the JSON value is the value.
Decoder = Callable[[Any], Any] | None

_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_SORT_KEYS


class Codec(Generic[T]):
    """Encodes and decodes values of one dataclass or struct."""

    def __init__(self, model: type[T]) -> None:
        self._decode: Callable[[Any], T] = _object_decoder(model, _fields_of(model))
        self._names = tuple(typing.get_type_hints(model))

    def encode(self, value: T, **more: Any) -> str:
        """The canonical document: equal values have equal documents.

        `more` are members that another release reads.
        """
        whole = {**{name: getattr(value, name) for name in self._names}, **more} if more else value
        return orjson.dumps(whole, default=_plain, option=_OPTIONS).decode()

    def decode(self, document: str, **absent: Any) -> T:
        """The value; fields that the model doesn't know are left out.

        `absent` are values of fields that the document of another release may lack.
        """
        known = orjson.loads(document)
        return self._decode({**absent, **known} if absent else known)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return to_us(value)
    if isinstance(value, Struct):
        return structs.asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} has no place in a document")


def _decoder(annotation: Any) -> Decoder:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if fields := _fields_of(annotation):
        return _object_decoder(annotation, fields)
    if annotation is datetime:
        return from_us
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return annotation
    if annotation in (str, int, bool, float) or origin is Literal:
        return None
    if origin is tuple:
        return _tuple_decoder(arguments)
    if origin is Mapping and arguments == (str, str):
        return None
    if present := _present(annotation):
        return _optional_decoder(_decoder(present))
    raise TypeError(f"{annotation!r} has no form as JSON yet: add it to this codec")


def _present(annotation: Any) -> Any:
    """What `X | None` is where it is there, None for what has to be there."""
    if typing.get_origin(annotation) not in (Union, types.UnionType):
        return None
    present = [a for a in typing.get_args(annotation) if a is not types.NoneType]
    return present[0] if len(present) == 1 else None


def _fields_of(annotation: Any) -> frozenset[str]:
    """Of a dataclass or a struct; none of anything else."""
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return frozenset(annotation.__struct_fields__)
    if dataclasses.is_dataclass(annotation):
        return frozenset(field.name for field in dataclasses.fields(annotation))
    return frozenset()


def _object_decoder(model: Any, names: frozenset[str]) -> Callable[[Any], Any]:
    hints = typing.get_type_hints(model)
    decoders, optional = dict[str, Callable[[Any], Any]](), dict[str, Callable[[Any], Any]]()
    for name in names:
        present = _present(hints[name])
        if (decoder := _decoder(present or hints[name])) is not None:
            (optional if present else decoders)[name] = decoder

    def decode(document: dict[str, Any]) -> Any:
        known = document  # just read from its text, so it may change
        if not document.keys() <= names:
            known = {name: value for name, value in document.items() if name in names}
        for name, decoder in decoders.items():
            if name in known:
                known[name] = decoder(known[name])
        for name, decoder in optional.items():
            if (value := known.get(name)) is not None:
                known[name] = decoder(value)
        return model(**known)

    return decode


def _tuple_decoder(arguments: tuple[Any, ...]) -> Callable[[Any], Any]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        element = _decoder(arguments[0])
        return (lambda items: tuple(map(element, items))) if element else tuple
    elements = [_decoder(a) for a in arguments]
    return lambda items: tuple(
        decoder(item) if decoder else item for decoder, item in zip(elements, items, strict=True)
    )


def _optional_decoder(decoder: Decoder) -> Decoder:
    if decoder is None:
        return None
    return lambda value: None if value is None else decoder(value)
