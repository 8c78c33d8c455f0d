"""The words of an expression, read without evaluating it: names, texts, numbers and marks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from engine.core.expression_types import ExpressionError

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_DIGITS = frozenset("0123456789")
_NAME = _LETTERS | _DIGITS
_NUMBER = _NAME | {"."}
_BLANKS = frozenset(" \t\r\n\f")
_PAIRS = ("==", "!=", "<=", ">=", "&&", "||")
_SINGLES = frozenset("()[]{}.,:?+-*/%!<>")
_TEXT_PREFIXES = frozenset({"r", "R", "b", "B", "rb", "rB", "Rb", "RB", "br", "bR", "Br", "BR"})
_CURLY_QUOTES = frozenset("\u201c\u201d\u2018\u2019\u00ab\u00bb")


@dataclass(frozen=True, slots=True)
class Token:
    """One word; `text` is as written, `start` its offset from 0."""

    kind: Literal["name", "text", "number", "mark"]
    text: str
    start: int

    @property
    def end(self) -> int:
        """The offset just behind it."""
        return self.start + len(self.text)


@lru_cache(maxsize=1024)
def read_tokens(text: str, start: int = 0, *, in_template: bool = False) -> Sequence[Token]:
    """Every word from `start` on, without blanks and comments.

    With `in_template` it ends before the `}}` that closes a `${{`, which isn't one in a text or
    in a map's braces. Raises ExpressionError for a text that isn't closed and for a character
    that no expression has. Kept for a while: a text is read for its checks, for its compiling and
    for what it calls, and authors write the same ones again and again.
    """
    found: list[Token] = []
    depth = 0
    at = start
    while at < len(text):
        first = text[at]
        if first in _BLANKS:
            at += 1
            continue
        if in_template and depth <= 0 and text.startswith("}}", at):
            break
        if text.startswith("//", at):
            line_end = text.find("\n", at)
            at = len(text) if line_end < 0 else line_end
            continue
        token = _token_at(text, at)
        depth += {"{": 1, "}": -1}.get(token.text, 0)
        found.append(token)
        at = token.end
    return tuple(found)


def chain_start(tokens: Sequence[Token], index: int) -> int:
    """The index at which the dotted name that holds `tokens[index]` begins."""
    if index > 0 and tokens[index].text == "." and tokens[index - 1].kind == "name":
        index -= 1
    while index >= 2 and tokens[index - 1].text == "." and tokens[index - 2].kind == "name":
        index -= 2
    return index


def chain_from(tokens: Sequence[Token], index: int) -> list[str]:
    """The dotted name that begins at `tokens[index]`, in its parts, without a call's name."""
    parts = [tokens[index].text]
    while (
        index + 2 < len(tokens)
        and tokens[index + 1].text == "."
        and tokens[index + 2].kind == "name"
        and text_at(tokens, index + 3) != "("
    ):
        index += 2
        parts.append(tokens[index].text)
    return parts


def chain_base(tokens: Sequence[Token], index: int) -> int:
    """Like `chain_start`, through calls and indexes too: `alerts` for `q` in `alerts[0].q`."""
    index = chain_start(tokens, index)
    while index >= 2 and tokens[index - 1].text == ".":
        index -= 2
        while tokens[index].text in (")", "]"):
            index = max(0, _opening(tokens, index) - 1)
        before = chain_start(tokens, index)
        if before == index and tokens[index].kind != "name":
            return index
        index = before
    return index


def _opening(tokens: Sequence[Token], index: int) -> int:
    depth = 0
    while index > 0:
        depth += {")": 1, "]": 1, "(": -1, "[": -1}.get(tokens[index].text, 0)
        if depth == 0:
            return index
        index -= 1
    return index


def text_at(tokens: Sequence[Token], index: int) -> str:
    """The text of a token, or "" outside of them."""
    return tokens[index].text if 0 <= index < len(tokens) else ""


def _token_at(text: str, at: int) -> Token:
    first = text[at]
    if first in _LETTERS:
        end = _end_of(text, at, _NAME)
        if text[at:end] in _TEXT_PREFIXES and text[end : end + 1] in ("'", '"'):
            return Token("text", text[at : _text_end(text, at, end)], at)
        return Token("name", text[at:end], at)
    if first in ("'", '"'):
        return Token("text", text[at : _text_end(text, at, at)], at)
    if first in _DIGITS:
        return Token("number", text[at : _number_end(text, at)], at)
    if first == "`":
        end = text.find("`", at + 1) + 1
        if end == 0:
            raise ExpressionError("the name after ` isn't closed; add the closing `", at + 1)
        return Token("name", text[at:end], at)
    if text[at : at + 2] in _PAIRS:
        return Token("mark", text[at : at + 2], at)
    if first in _SINGLES:
        return Token("mark", first, at)
    raise ExpressionError(_stray_character(text, at), at + 1)


def _stray_character(text: str, at: int) -> str:
    first = text[at]
    match first:
        case "=":
            return "a single '=' compares nothing; write '=='"
        case "&" | "|":
            return f"a single {first!r} means nothing here; write {first * 2!r}"
        case "~":
            return "'~' belongs to matchers; in an expression write name.matches('^...$')"
        case "$":
            return "this is already an expression; write it without '${{' and '}}'"
        case "#":
            return "'#' begins no comment in an expression; use '//'"
        case _ if first in _CURLY_QUOTES:
            return f"{first!r} isn't a quote of expressions; write \" or '"
        case _:
            return f"unexpected character {first!r}"


def _end_of(text: str, at: int, allowed: frozenset[str]) -> int:
    while at < len(text) and text[at] in allowed:
        at += 1
    return at


def _number_end(text: str, at: int) -> int:
    end = _end_of(text, at, _NUMBER)
    # The exponent's sign belongs to the number: 1e-5.
    if text[end - 1] in "eE" and text[end : end + 1] in ("+", "-") and text[at : at + 2] != "0x":
        end = _end_of(text, end + 1, _DIGITS)
    return end


def _text_end(text: str, start: int, quote_at: int) -> int:
    quote = text[quote_at]
    triple = text.startswith(quote * 3, quote_at)
    closing = quote * 3 if triple else quote
    raw = "r" in text[start:quote_at].lower()
    at = quote_at + len(closing)
    while at < len(text):
        if text.startswith(closing, at):
            return at + len(closing)
        if text[at] == "\n" and not triple:
            break
        at += 2 if text[at] == "\\" and not raw else 1
    raise ExpressionError(f"the text that begins here isn't closed; add {closing}", start + 1)


def called(tokens: Sequence[Token], function: str) -> Sequence[int]:
    """Where a function of this name is called, from 0; a method of that name isn't."""
    return [
        token.start
        for index, token in enumerate(tokens)
        if token.text == function
        and text_at(tokens, index + 1) == "("
        and text_at(tokens, index - 1) != "."
    ]
