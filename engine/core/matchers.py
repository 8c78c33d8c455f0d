"""Alertmanager's matchers: `alertname="X"`, `service=~"llm-.+"`, fully anchored, absent is "".

The syntax is that of https://prometheus.io/docs/alerting/latest/configuration/#matcher in
Alertmanager's default mode. One thing is stricter: a value with a blank, a comma or another
character of the syntax must be quoted, where Alertmanager only warns, because two matchers in one
line would otherwise quietly become one that never holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, Protocol

import re2
from typing_extensions import override

from engine.errors import QuellError

Operator = Literal["=", "!=", "=~", "!~"]

_OPERATORS: Final[tuple[Operator, ...]] = ("=~", "!~", "!=", "=")
_RESERVED: Final = frozenset("{}!=~,\\\"'`")
_NAME_STOPS: Final = frozenset("{}!=~,\"'`")
_MAX_LENGTH: Final = 4096
# A label's value that is longer isn't kept in the cache of results, so that the cache's memory is
# bounded by its number of entries.
_MAX_CACHED: Final = 512
_MAX_PATTERN_BYTES: Final = 2 << 20


class MatcherError(QuellError):
    """A text isn't a matcher; `column` counts characters from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label. Raises MatcherError for a pattern that RE2 refuses."""

    name: str
    op: Operator
    value: str

    def __post_init__(self) -> None:
        if self.op in ("=~", "!~"):
            _compiled(self.value)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether it holds; a label that is absent is ""."""
        found = labels.get(self.name, "")
        match self.op:
            case "=":
                return found == self.value
            case "!=":
                return found != self.value
            case "=~":
                return _holds(self.value, found)
            case "!~":
                return not _holds(self.value, found)

    @override
    def __str__(self) -> str:
        return _spelled(self.name, self.op, self.value)


def first_exclusion(matchers: Sequence[Matcher]) -> tuple[Matcher, Matcher] | None:
    """Two that never hold together: one names the value that the other refuses."""
    for one in matchers:
        if one.op == "=":
            for other in matchers:
                if other.name == one.name and not other.matches({one.name: one.value}):
                    return one, other
    return None


def parse_matcher(text: str) -> Matcher:
    r"""Read one matcher. In quotes `\"`, `\\` and `\n` are escapes; any other `\` is itself.

    Raises MatcherError with the column of the first mistake.
    """
    if len(text) > _MAX_LENGTH:
        raise MatcherError(f"the matcher has {len(text)} characters, {_MAX_LENGTH} are allowed", 1)
    start = len(text) - len(text.lstrip())
    if start == len(text):
        raise MatcherError('the matcher is empty; write it like alertname="HostDown"', 1)
    if text[start] == "{":
        raise MatcherError("write each matcher by itself, without { and }", start + 1)
    name, at = _read_name(text, start)
    at = _skip_blanks(text, at)
    op = next((each for each in _OPERATORS if text.startswith(each, at)), None)
    if op is None:
        raise MatcherError(_missing_operator(text, at, name), at + 1)
    at = _skip_blanks(text, at + len(op))
    if text.startswith("=", at):
        raise MatcherError(f"{op}= isn't an operator; write one of = != =~ !~", at + 1)
    value = _read_value(text, at, f"{text[start:at].rstrip()}")
    try:
        return Matcher(name, op, value)
    except MatcherError as error:
        raise MatcherError(error.message, at + 1) from error


def _read_name(text: str, start: int) -> tuple[str, int]:
    if text[start] == '"':
        name, end = _read_quoted(text, start)
        if not name:
            raise MatcherError("the label's name is empty", start + 1)
        return name, end
    end = start
    while end < len(text) and text[end] not in _NAME_STOPS and not text[end].isspace():
        end += 1
    if end == start:
        if text[start] == "!":
            raise MatcherError("the label's name is missing before the operator", start + 1)
        raise MatcherError(
            f"a label's name can't begin with {text[start]!r}; write it like name=\"value\"",
            start + 1,
        )
    return text[start:end], end


def _read_value(text: str, at: int, before: str) -> str:
    if text.startswith('"', at):
        value, end = _read_quoted(text, at)
        rest = _skip_blanks(text, end)
        if rest < len(text):
            hint = (
                "; write each matcher on a line of its own"
                if text[rest] == ","
                else '; write " inside a value as \\"'
            )
            raise MatcherError(f"unexpected {text[rest:]!r} after the value{hint}", rest + 1)
        return value
    value = text[at:].rstrip()
    for offset, character in enumerate(value):
        if (character in _RESERVED and character != "\\") or character.isspace():
            suggestion = f"{before}{_quoted(value)}"
            raise MatcherError(
                f"a value with {character!r} must be in double quotes: {suggestion}",
                at + offset + 1,
            )
    return _unescaped(value)


def _read_quoted(text: str, start: int) -> tuple[str, int]:
    end = start + 1
    while end < len(text) and text[end] != '"':
        end += 2 if text[end] == "\\" else 1
    if end >= len(text):
        raise MatcherError("the quote that begins here isn't closed; add \"", start + 1)
    return _unescaped(text[start + 1 : end]), end + 1


def _unescaped(written: str) -> str:
    parts: list[str] = []
    at = 0
    while at < len(written):
        pair = written[at : at + 2]
        if pair in ('\\"', "\\\\", "\\n"):
            parts.append("\n" if pair == "\\n" else pair[1])
            at += 2
        else:
            parts.append(written[at])
            at += 1
    return "".join(parts)


@lru_cache(maxsize=1024)
def _spelled(name: str, op: Operator, value: str) -> str:
    """Each alert that a rule takes has the rule's matchers among its reasons."""
    return f"{name if _is_plain_name(name) else _quoted(name)}{op}{_quoted(value)}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _missing_operator(text: str, at: int, name: str) -> str:
    if at >= len(text):
        return f'there is no operator; write it like {name}="value"'
    if text.startswith("~", at):
        return f'~ isn\'t an operator; write {name}=~"pattern"'
    if text.startswith("!", at):
        return f'! needs = or ~ behind it; write {name}!="value" or {name}!~"pattern"'
    return f"unexpected {text[at]!r} where one of = != =~ !~ belongs"


def _is_plain_name(name: str) -> bool:
    return bool(name) and not any(
        character in _NAME_STOPS or character == "\\" or character.isspace() for character in name
    )


class _Pattern(Protocol):
    def fullmatch(self, text: str) -> object: ...


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> _Pattern:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_PATTERN_BYTES
    try:
        compiled: _Pattern = re2.compile(pattern, options)
    except re2.error as error:
        problem = error.args[0]
        said = problem.decode(errors="replace") if isinstance(problem, bytes) else str(problem)
        raise MatcherError(
            f"{pattern!r} isn't a valid RE2 pattern: {said.strip()}; "
            "see https://github.com/google/re2/wiki/Syntax",
            1,
        ) from error
    except UnicodeError as error:
        raise MatcherError(f"{pattern!r} isn't valid Unicode text", 1) from error
    return compiled


def _holds(pattern: str, value: str) -> bool:
    if len(value) > _MAX_CACHED:
        return _fully_matches(pattern, value)
    return _remembered(pattern, value)


@lru_cache(maxsize=32_768)
def _remembered(pattern: str, value: str) -> bool:
    return _fully_matches(pattern, value)


def _fully_matches(pattern: str, value: str) -> bool:
    # Half of a surrogate pair can come out of JSON and has no UTF-8 form.
    sound = value.encode("utf-8", "replace").decode("utf-8")
    return _compiled(pattern).fullmatch(sound) is not None
