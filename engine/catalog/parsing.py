"""One file's text into its model: every mistake with line and column, the right word named."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from engine.catalog.foreign_words import foreign_words
from engine.catalog.references import FOLDER, YAML, reference_of, referring
from engine.catalog.sources import Kind, SourceFile
from engine.catalog.yaml_composer import compose
from engine.catalog.yaml_findings import findings_of, key_place
from engine.catalog.yaml_nodes import Node, Scalar, follow
from engine.catalog.yaml_reading import read_plain
from engine.core.findings import Finding
from engine.core.ids import sha256_hex
from engine.core.json_value import Json
from engine.core.mistakes import Mistake, Mistakes, Path
from engine.errors import ConfigError

M = TypeVar("M", bound=BaseModel)


# Without slots, because its places are made when the first is asked for: few files need them.
@dataclass(frozen=True)
class Parsed(Generic[M]):
    """A file with its model, its places and the mistakes that were found in it later.

    `dropped` leads to what was no part of the model: it is told already, and the rest of the file
    is checked without it, so that all mistakes are told at once.
    """

    source: SourceFile
    document: M
    mistakes: Mistakes
    dropped: tuple[Path, ...] = ()

    @cached_property
    def node(self) -> Node:
        """The file with its places, which takes a second reading."""
        return _composed(self.source)

    @property
    def text_hash(self) -> str:
        """SHA-256 of the file's bytes."""
        return sha256_hex(self.source.text)

    def findings(self, unread: Collection[str] = ()) -> list[Finding]:
        """The mistakes at their places; of a kind that is `unread`, nothing is called unknown."""
        found = [each for each in self.mistakes.found if each.unknown not in unread]
        return [self.finding(each) for each in found if not self.follows(each)]

    def finding(self, mistake: Mistake) -> Finding:
        """A mistake at its place in the file."""
        node, _ = follow(self.node, mistake.path)
        line, column = node.line, node.column
        if mistake.column and isinstance(node, Scalar):
            line, column = node.place_of(mistake.column - 1)
        reference = reference_of(self.source.kind, mistake.path, in_expression=mistake.column > 0)
        return Finding(self.source.path, line, column, mistake.message, reference)

    def follows(self, mistake: Mistake) -> bool:
        """Whether it may only follow from something dropped inside of it."""
        return mistake.path in self._around_dropped

    @cached_property
    def _around_dropped(self) -> frozenset[Path]:
        """Every place that holds something dropped: both it and mistakes may be thousands."""
        return frozenset(path[:depth] for path in self.dropped for depth in range(len(path) + 1))


def parse(source: SourceFile, model: type[M], findings: list[Finding]) -> Parsed[M] | None:
    """The file as its model, its mistakes in `findings`; None when nothing can be read of it."""
    try:
        plain = read_plain(source.text, source.path, may_hold_secrets=_is_secret(source))
    except ConfigError as error:
        unread = [each for each in error.findings if isinstance(each, Finding)]
        findings.extend(replace(each, reference=f"{FOLDER}/{YAML}") for each in unread)
        return None
    try:
        return Parsed(source, _validated(model, plain), Mistakes())
    except ValidationError as error:
        node = _composed(source)
        told = findings_of(error, node, model)
        # What is known of other tools says more than that the key is unknown.
        better = {(each.line, each.column): each for each in foreign_words(source.kind, node)}
        unknown = {
            key_place(node, follow(node, details["loc"])[1])
            for details in error.errors()
            if details["type"] == "extra_forbidden"
        }
        told = [
            better.get(place, each) if (place := (each.line, each.column)) in unknown else each
            for each in told
        ]
        findings.extend(referring(told, source.kind, node))
        dropped = tuple(_dropped(node, details["loc"]) for details in error.errors())
    try:
        rest = _validated(model, _without(plain, dropped))
    except ValidationError:
        return None
    return Parsed(source, rest, Mistakes(), dropped)


def _composed(source: SourceFile) -> Node:
    return compose(source.text, source.path, may_hold_secrets=_is_secret(source))


def _is_secret(source: SourceFile) -> bool:
    """Whether its values are: those of the inventory's connections may be."""
    return source.kind is Kind.INVENTORY


def _validated(model: type[M], value: Json) -> M:
    """The model, by the words of the language alone and without a value that is read as another.

    As JSON, because a strict validator knows no lists of Python's where it wants a tuple.
    """
    text = json.dumps(value)
    return model.model_validate_json(text, strict=True, by_alias=True, by_name=False)


def _dropped(node: Node, loc: Path) -> Path:
    """The innermost key that holds what is wrong: an element of a list goes with its list."""
    _, real = follow(node, loc)
    while real and isinstance(real[-1], int):
        real.pop()
    return tuple(real)


def _without(value: Json, paths: Iterable[Path]) -> Json:
    """The value without the keys at these paths."""
    inner: dict[str | int, list[Path]] = {}
    for path in paths:
        if path:
            inner.setdefault(path[0], []).append(path[1:])
    if isinstance(value, Mapping):
        return {
            key: _without(each, inner.get(key, ()))
            for key, each in value.items()
            if () not in inner.get(key, ())
        }
    if isinstance(value, list):
        return [_without(each, inner.get(index, ())) for index, each in enumerate(value)]
    return value
