"""Our Markdown as Jira's wiki markup: the same words, and nothing in them becomes markup.

https://jira.atlassian.com/secure/WikiRendererHelpAction.jspa?section=all
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from operator import ne

_FENCE = re.compile(r"(`{3,})\w*")
_HEADING = re.compile(r"(#{1,6}) +(.*)")
_BULLET = re.compile(r"[-*] +(.*)")
_NUMBERED = re.compile(r"\d+\. +(.*)")
_CELL = re.compile(r"((?:\\.|[^|\\])*)\|")
_RULE_OF_TABLE = re.compile(r"[\s|:-]*-[\s|:-]*")
_INLINE = re.compile(r"\\([!-/:-@\[-`{-~])|`([^`]+)`|\*\*(.+?)\*\*")
# Braces, brackets and bars anywhere; the marks of phrases unless letters or digits hold them on
# both sides; a leading number sign.
_MARKS = re.compile(
    r"[{}\[\]|!*]|(?<![^\W_])[_+^~-]|[_+^~-](?![^\W_])|\?(?=\?)|(?<=\?)\?|^#|\\(?=[^\w\s]|$)"
)
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_NOFORMAT = re.compile(r"\{(?=noformat)", re.IGNORECASE)
# Invisible, and it takes apart what may not stand together.
_APART = "\u200b"


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part that stands by itself; only the body of preformatted text may be cut."""

    text: str
    preformatted: bool = False

    def whole(self) -> str:
        return f"{{noformat}}\n{self.text}\n{{noformat}}" if self.preformatted else self.text

    def within(self, room: int) -> str:
        """Its beginning in at most `room` characters, "" where nothing of it fits."""
        room -= len(_Piece("", preformatted=True).whole())
        if not self.preformatted or room < 1:
            return ""
        return _Piece(_beginning(self.text, room), preformatted=True).whole()


def bounded_markup(markdown: str, limit: int, rest: str) -> str:
    """Wiki markup of at most `limit` characters; a text that is cut says so, and `rest` tells more.

    Handles what our postmortems hold: headings, tables, fences, lists, bold and inline code.
    """
    pieces = list(_pieces(without_controls(markdown)))
    whole = "\n".join(piece.whole() for piece in pieces).strip("\n")
    if length(whole) <= limit:
        return whole
    room = limit - length(_note(length(whole), length(whole), rest))
    kept = []
    for piece in pieces:
        text = piece.whole()
        if length(text) + 1 > room:
            kept.append(piece.within(room - 1))
            break
        room -= length(text) + 1
        kept.append(text)
    shown = "\n".join(kept)
    return shown + _note(length(whole) - length(shown), length(whole), rest)


def without_controls(text: str) -> str:
    """Text that Jira can store: no control characters, and `\\n` ends a line."""
    return _CONTROLS.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def length(text: str) -> int:
    """As Jira counts, in UTF-16: a character beyond the basic plane is two."""
    return len(text) + sum(char > "\uffff" for char in text)


def cut(text: str, limit: int) -> str:
    """The text, or its beginning with an ellipsis, in at most `limit` of Jira's characters."""
    return text if length(text) <= limit else _beginning(text, limit - 1) + "…"


def _note(left_out: int, total: int, rest: str) -> str:
    said = f"Cut: {left_out:,} of {total:,} characters don't fit into this field. {rest}"
    return f"\n\n{_inline(said)}"


def _beginning(text: str, room: int) -> str:
    for place, char in enumerate(text):
        room -= length(char)
        if room < 0:
            return text[:place]
    return text


def _pieces(markdown: str) -> Iterator[_Piece]:
    lines = iter(markdown.split("\n"))
    rows: list[str] = []
    for line in lines:
        if line.startswith("|"):
            rows.append(line)
            continue
        yield from _table(rows)
        rows = []
        if fence := _FENCE.fullmatch(line):
            body = "\n".join(takewhile(partial(ne, fence[1]), lines))
            yield _Piece(_NOFORMAT.sub("{" + _APART, body), preformatted=True)
        else:
            yield _Piece(_line(line))
    yield from _table(rows)


def _line(line: str) -> str:
    if found := _HEADING.fullmatch(line):
        return f"h{len(found[1])}. {_inline(found[2])}"
    if found := _BULLET.fullmatch(line):
        return f"* {_inline(found[1])}"
    if found := _NUMBERED.fullmatch(line):
        return f"# {_inline(found[1])}"
    return _inline(line)


def _table(rows: list[str]) -> Iterator[_Piece]:
    headed = len(rows) > 1 and _RULE_OF_TABLE.fullmatch(rows[1]) is not None
    for place, row in enumerate(rows):
        if headed and place == 1:
            continue
        bar = "||" if headed and place == 0 else "|"
        # A cell needs at least a space, or its bars run into those of a heading.
        cells = [_inline(cell.strip()) or " " for cell in _CELL.findall(row[1:])]
        yield _Piece(bar + bar.join(cells) + bar)


def _inline(text: str) -> str:
    shown, literal, at = [], "", 0
    for found in _INLINE.finditer(text):
        literal += text[at : found.start()]
        at = found.end()
        if found[1] is not None:
            literal += found[1]
            continue
        shown.append(_disarmed(literal))
        literal = ""
        if found[2] is not None:
            # In our tables' and lists' code, a bar alone is escaped.
            shown.append("{{" + _disarmed(found[2].replace("\\|", "|")) + "}}")
        else:
            shown.append(f"*{_inline(found[3])}*")
    return "".join([*shown, _disarmed(literal + text[at:])])


def _disarmed(text: str) -> str:
    # Two backslashes are a line break in wiki markup, so one is parted from what follows it.
    return _MARKS.sub(lambda m: "\\" + _APART if m[0] == "\\" else "\\" + m[0], text)
