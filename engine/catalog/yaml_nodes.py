"""A YAML file as nodes that know their place, so that every later mistake can be shown there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

from engine.catalog.yaml_hints import disguised

Style = Literal["plain", "single", "double", "literal", "folded"]


@dataclass(frozen=True, slots=True)
class Source:
    """A file's name and its lines. Messages show no values where it `may_hold_secrets`."""

    file: str
    lines: tuple[str, ...]
    may_hold_secrets: bool = False

    def shown(self, number: int) -> str:
        """A line, counted from 1, as messages may show it; "" where there is none."""
        if number > len(self.lines):
            return ""
        line = self.lines[number - 1]
        return disguised(line) if self.may_hold_secrets else line


class Scalar(NamedTuple):
    """A text as it was written; `line` and `column` count from 1, at its quote if it has one.

    A named tuple, because a file has tens of thousands and a frozen dataclass takes twice as long.
    """

    source: Source
    line: int
    column: int
    text: str
    style: Style

    @property
    def is_quoted(self) -> bool:
        """Whether it is text whatever it looks like: in quotes or a block."""
        return self.style != "plain"

    def place_of(self, offset: int) -> tuple[int, int]:
        """Line and column of one of its characters, from 0; the beginning when that's unknown.

        Known in texts on one line without escapes and in literal blocks.
        """
        if self.style in ("plain", "single", "double"):
            column = self.column + (1 if self.is_quoted else 0)
            line = self.source.lines[self.line - 1]
            if line[column - 1 :].startswith(self.text[: offset + 1]):
                return self.line, column + offset
        if self.style == "literal":
            before = self.text[:offset].split("\n")
            line_number = self.line + len(before)
            if line_number <= len(self.source.lines):
                written = self.text.split("\n")[len(before) - 1]
                indent = self.source.lines[line_number - 1].find(written)
                if indent >= 0:
                    return line_number, indent + len(before[-1]) + 1
        return self.line, self.column


@dataclass(frozen=True, slots=True)
class SequenceNode:
    """A list."""

    source: Source
    line: int
    column: int
    elements: tuple["Node", ...]


# Without slots, because its index is made when a key is asked for: most are only gone through.
@dataclass(frozen=True)
class MappingNode:
    """Keys and values in the order of the file; keys are texts and unique."""

    source: Source
    line: int
    column: int
    entries: tuple[tuple[Scalar, "Node"], ...]

    def entry(self, name: str) -> "tuple[Scalar, Node] | None":
        """The key and value of that name, None when there is none."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> "Mapping[str, tuple[Scalar, Node]]":
        """Thousands of unknown keys in one mapping are each looked up."""
        return {entry[0].text: entry for entry in self.entries}


Node: TypeAlias = Scalar | SequenceNode | MappingNode
PathParts: TypeAlias = Sequence[str | int]


def locate(node: Node, path: PathParts) -> tuple[int, int]:
    """Line and column of what a path leads to, or of the last node on the way that exists."""
    found = follow(node, path)[0]
    return found.line, found.column


def follow(node: Node, path: PathParts) -> tuple[Node, list[str | int]]:
    """The node at a path and the parts of the path that exist.

    Parts that don't exist in the file are passed over: a validator puts the names of a union's
    branches between them.
    """
    real: list[str | int] = []
    for part in path:
        inner = _inner(node, part)
        if inner is not None:
            node = inner
            real.append(part)
    return node, real


def _inner(node: Node, part: str | int) -> Node | None:
    if isinstance(node, MappingNode):
        entry = node.entry(str(part))
        return entry[1] if entry is not None else None
    if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.elements):
        return node.elements[part]
    return None
