"""A YAML file's plain value, without places: few files need them, and they cost more than reading.

Whatever isn't surely right is left to the composer, which tells what is wrong and where.
"""

from typing import TypeAlias

from yaml import (
    AliasEvent,
    CLoader,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
    YAMLError,
)

from engine.catalog.yaml_composer import MAX_DEPTH, MAX_NODES, compose, decode
from engine.catalog.yaml_hints import cut_by_comment
from engine.catalog.yaml_plain import to_plain, typed
from engine.core.json_value import Json
from engine.errors import QuellError

_Collection: TypeAlias = list[Json] | dict[str, Json]


class _DoubtfulError(QuellError):
    """Something of the file is wrong, or may be."""


def read_plain(text: bytes, file: str, *, may_hold_secrets: bool = False) -> Json:
    """The value that `to_plain` gives of the composed file. Raises ConfigError, as those two do."""
    decoded = decode(text, file)
    try:
        return _Reader(decoded).read()
    except (YAMLError, _DoubtfulError):
        return to_plain(compose(text, file, may_hold_secrets=may_hold_secrets))


class _Reader:
    """One pass over the parser's events; a large project has a million, so that each counts."""

    def __init__(self, text: str) -> None:
        self._next_event = CLoader(text).get_event
        # A comment may have cut a plain text in the middle: its line tells.
        self._lines = text.split("\n") if " #" in text or "\t#" in text else []
        self._root: list[Json] = []
        # What is read, the key in it that waits for its value, and what is around.
        self._inner: _Collection = self._root
        self._key: str | None = None
        self._around: list[_Collection] = []

    def read(self) -> Json:
        """The document's value. Raises YAMLError and _DoubtfulError."""
        count = 0
        while (event := self._next_event()) is not None:
            if isinstance(event, ScalarEvent):
                count += 1
                self._read_scalar(event)
            elif isinstance(event, CollectionEndEvent):
                self._inner = self._around.pop()
            elif isinstance(event, CollectionStartEvent):
                count += 1
                self._open(event)
            elif isinstance(event, AliasEvent):
                raise _DoubtfulError("an alias")
            elif isinstance(event, DocumentStartEvent) and self._root:
                raise _DoubtfulError("a second document")
        if count > MAX_NODES:
            raise _DoubtfulError("too many values")
        return self._root[0] if self._root else None

    def _read_scalar(self, event: ScalarEvent) -> None:
        text = event.value
        if event.tag is not None or event.anchor is not None:
            raise _DoubtfulError("a tag or an anchor")
        if self._lines and not event.style:
            self._check_whole(event)
        if self._key is None and isinstance(self._inner, dict):
            if text in self._inner:
                raise _DoubtfulError("a key twice")
            self._key = text
            return
        value, problem = (text, "") if event.style else typed(text)
        if problem:
            raise _DoubtfulError(problem)
        self._add(value)

    def _open(self, event: CollectionStartEvent) -> None:
        if event.tag is not None or event.anchor is not None or len(self._around) == MAX_DEPTH:
            raise _DoubtfulError("a tag, an anchor or too deep")
        opened: _Collection = {} if isinstance(event, MappingStartEvent) else []
        self._add(opened)
        self._around.append(self._inner)
        self._inner = opened

    def _add(self, value: Json) -> None:
        if isinstance(self._inner, list):
            self._inner.append(value)
        elif self._key is not None:
            self._inner[self._key] = value
            self._key = None
        else:
            raise _DoubtfulError("a key that is a list or a mapping")

    def _check_whole(self, event: ScalarEvent) -> None:
        end = event.end_mark
        # A text that is left out at the end of the file ends behind its last line.
        if end is None or end.line == len(self._lines):
            return
        if cut_by_comment(self._lines[end.line], end.column, event.value):
            raise _DoubtfulError("a text that a comment cut")
