"""Composes one YAML file into nodes with places: bounded, one pass, without anchors or tags.

This file and yaml_reading alone know the YAML library. Its parser in C gives events; nothing here
recurses, so that no nesting can exhaust the stack.
"""

from dataclasses import dataclass, field
from typing import NoReturn

from yaml import (
    AliasEvent,
    CLoader,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    MappingStartEvent,
    MarkedYAMLError,
    ScalarEvent,
    YAMLError,
)

from engine.catalog.yaml_hints import cut_by_comment, indicator_hint, syntax_hint
from engine.catalog.yaml_nodes import MappingNode, Node, Scalar, SequenceNode, Source, Style
from engine.core.findings import Finding
from engine.errors import ConfigError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 40
# What 256 KiB of the smallest possible values would cost in time; a real file of that size has
# fewer. What separates or opens values is counted before any is read: each value has one.
MAX_NODES = 25_000
_SEPARATORS = ("\n", ",", ": ", "- ", "[", "{")
# A file that is something else altogether would otherwise be one long list of mistakes.
MAX_FINDINGS = 50

_STYLES: dict[str | None, Style] = {
    "'": "single",
    '"': "double",
    "|": "literal",
    ">": "folded",
}
_FORBIDDEN = frozenset(
    [chr(code) for code in range(0x20) if chr(code) not in "\t\n"]
    + [chr(code) for code in range(0x7F, 0xA0)]
    + ["\u2028", "\u2029", "\ufeff", "\ufffe", "\uffff"]
)


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end hasn't come yet; a mapping's `key` waits for its value."""

    line: int
    column: int
    is_mapping: bool
    is_flow: bool
    elements: list[Node] = field(default_factory=list)
    entries: list[tuple[Scalar, Node]] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    key: Scalar | None = None


def compose(text: bytes, file: str, *, may_hold_secrets: bool = False) -> Node:
    """The file's one document. An empty file is an empty plain text.

    Raises ConfigError with every mistake found; after a mistake in the syntax or a limit nothing
    more is read. No message shows a value of a file that `may_hold_secrets`.
    """
    decoded = decode(text, file)
    source = Source(file, tuple(decoded.split("\n")), may_hold_secrets)
    return _Composer(source).compose(decoded)


def decode(text: bytes, file: str) -> str:
    """The file's characters, with line ends of one kind. Raises ConfigError for too many or odd."""
    if len(text) > MAX_BYTES:
        _refuse(file, f"the file has {len(text)} bytes, {MAX_BYTES} are allowed; split it")
    try:
        decoded = text.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        before = text[: error.start].decode("utf-8", "replace")
        place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        _refuse(file, f"byte {text[error.start]:#04x} isn't UTF-8; save the file as UTF-8", place)
    _refuse_control_characters(decoded, file)
    if sum(map(decoded.count, _SEPARATORS)) > MAX_NODES:
        _refuse(file, f"the file has more than {MAX_NODES} lines, commas and colons; split it")
    return decoded


class _Composer:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._findings: list[Finding] = []
        self._stack: list[_Open] = []
        self._root: Node | None = None
        self._count = 0
        # The text in quotes that ended last, where it goes over several lines: place and last line.
        self._long_quote: tuple[int, int, int] | None = None

    def compose(self, text: str) -> Node:
        try:
            self._read(CLoader(text), may_be_cut=" #" in text or "\t#" in text)
        except MarkedYAMLError as error:
            self._note_syntax(error)
        except YAMLError as error:
            self._note(1, 1, str(error))
        if self._findings:
            raise ConfigError(f"{self._source.file} can't be read", sorted(self._findings))
        return self._root or Scalar(self._source, 1, 1, "", "plain")

    def _read(self, parser: CLoader, *, may_be_cut: bool) -> None:
        # A large project has a million events, so that what each costs counts.
        while (event := parser.get_event()) is not None:
            mark = event.start_mark
            line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
            if isinstance(event, ScalarEvent):
                self._read_scalar(event, line, column, may_be_cut=may_be_cut)
            elif isinstance(event, CollectionEndEvent):
                self._close()
            elif isinstance(event, CollectionStartEvent):
                self._check_properties(event, line, column)
                is_mapping = isinstance(event, MappingStartEvent)
                self._stack.append(_Open(line, column, is_mapping, bool(event.flow_style)))
            elif isinstance(event, AliasEvent):
                self._note(line, column, indicator_hint(self._line(line)))
                self._add(Scalar(self._source, line, column, "", "plain"))
            elif isinstance(event, DocumentStartEvent) and self._root is not None:
                self._note(line, column, "a file holds one document; remove this '---'")
                return
            suspect = self._findings or self._count > MAX_NODES or len(self._stack) > MAX_DEPTH
            if suspect and not self._within_limits(line, column):
                return

    def _read_scalar(self, event: ScalarEvent, line: int, column: int, *, may_be_cut: bool) -> None:
        self._check_properties(event, line, column)
        style = _STYLES.get(event.style, "plain")
        scalar = Scalar(self._source, line, column, event.value, style)
        if may_be_cut and style == "plain":
            self._check_cut(event, scalar)
        elif style in ("single", "double"):
            self._note_quote(event, scalar)
        self._add(scalar)

    def _within_limits(self, line: int, column: int) -> bool:
        if len(self._stack) > MAX_DEPTH:
            self._note(line, column, f"this is nested deeper than {MAX_DEPTH} levels")
            return False
        if self._count > MAX_NODES:
            self._note(line, column, f"the file has more than {MAX_NODES} values; split it")
            return False
        return len(self._findings) < MAX_FINDINGS

    def _close(self) -> None:
        closed = self._stack.pop()
        node: Node
        if closed.is_mapping:
            node = MappingNode(self._source, closed.line, closed.column, tuple(closed.entries))
        else:
            node = SequenceNode(self._source, closed.line, closed.column, tuple(closed.elements))
        self._add(node)

    def _add(self, node: Node) -> None:
        self._count += 1
        if not self._stack:
            self._root = node
            return
        parent = self._stack[-1]
        if not parent.is_mapping:
            parent.elements.append(node)
        elif parent.key is None:
            parent.key = self._key(node, parent)
        else:
            parent.entries.append((parent.key, node))
            parent.key = None

    def _key(self, node: Node, parent: _Open) -> Scalar:
        if not isinstance(node, Scalar):
            self._note(node.line, node.column, "a key is text; write an expression as '${{ … }}'")
            return Scalar(self._source, node.line, node.column, "", "plain")
        first = parent.names.get(node.text)
        if first is not None:
            again = f"key {node.text!r} is here twice, first in line {first}"
            self._note(node.line, node.column, again)
        parent.names.setdefault(node.text, node.line)
        return node

    def _check_properties(
        self, event: ScalarEvent | CollectionStartEvent, line: int, column: int
    ) -> None:
        if event.tag is not None or event.anchor is not None:
            self._note(line, column, indicator_hint(self._line(line)))

    def _check_cut(self, event: ScalarEvent, scalar: Scalar) -> None:
        end = event.end_mark
        if end is not None:
            message = cut_by_comment(self._line(end.line + 1), end.column, scalar.text)
            if message:
                self._note(scalar.line, scalar.column, message)

    def _note_quote(self, event: ScalarEvent, scalar: Scalar) -> None:
        end = event.end_mark
        if end is not None and end.line + 1 > scalar.line:
            self._long_quote = (scalar.line, scalar.column, end.line + 1)

    def _note_syntax(self, error: MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        problem = f"{error.problem or 'this can not be read'} {error.context or ''}".strip()
        if mark is None:
            self._note(1, 1, problem)
            return
        in_flow = bool(self._stack) and self._stack[-1].is_flow
        context = error.context_mark
        if self._long_quote is not None and self._long_quote[2] == mark.line + 1:
            # What follows makes no sense, because it was meant to be inside of another quote.
            first, column, last = self._long_quote
            self._note(
                first, column, f"the quote that begins here ends only in line {last}; close it"
            )
            return
        # An open bracket or quote shows only at the end of the file; the mistake is where it opens.
        opens_above = context is not None and (in_flow or "quoted" in problem)
        if context is not None and opens_above and context.line < mark.line:
            mark = context
        if context is not None and "unexpected end of stream" in problem and not in_flow:
            mark = context
        line = self._line(mark.line + 1)
        message = syntax_hint(problem, line, mark.column, in_flow=in_flow)
        self._note(mark.line + 1, mark.column + 1, message)

    def _note(self, line: int, column: int, message: str) -> None:
        self._findings.append(Finding(self._source.file, line, column, message))

    def _line(self, number: int) -> str:
        return self._source.shown(number)


def _refuse_control_characters(text: str, file: str) -> None:
    found = _FORBIDDEN.intersection(text)
    if found:
        at = min(text.find(character) for character in found)
        place = (text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
        code = f"U+{ord(text[at]):04X}"
        _refuse(file, f"the control character {code} isn't allowed; remove it", place)


def _refuse(file: str, message: str, place: tuple[int, int] = (1, 1)) -> NoReturn:
    raise ConfigError(f"{file} can't be read", [Finding(file, *place, message)])
