"""Patterns of arguments in the words of sudoers: POSIX extended, and never a blank.

sudo matches all arguments joined by blanks (sudoers(5), "Regular Expressions", sudo 1.9.10 or
newer), so whatever could stand for a blank would let a further argument in.
"""

from collections.abc import Callable, Iterator

from engine.core.parameters import Spec, pattern_of

NO_BLANK = "[^[:space:]]"
# It would begin a comment even inside a regular expression; in a class a backslash means itself.
_COMMENT = "#"
_SPECIAL = frozenset(".[]{}()*+?^$|!")
# One part of a path, which is never `..`: what check_value refuses beside the format's pattern.
_PLAIN = "[A-Za-z0-9@%_+=:,-]"
_DOTTED = "[A-Za-z0-9@%_+=:,.-]"
_REST = f"[.]{_PLAIN}{_DOTTED}*|[.][.]{_DOTTED}+"
_OF_FORMAT = {
    "path": f"(/({_PLAIN}{_DOTTED}*|{_REST}|[.])?)+",
    "path_segment": f"([A-Za-z0-9@%_+=:,]{_DOTTED}*|{_REST})",
}
_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_"}


class UnsayableError(ValueError):
    """The pattern has something that sudoers can't say; the message names it."""


def literal(text: str) -> str:
    """This very text. Raises UnsayableError for a blank or a backslash."""
    return "".join(map(_literal, text))


def of_argument(spec: Spec, text_of: Callable[[str], str] = literal) -> str:
    """Every value that the argument allows, and no other; `text_of` writes a value as it is.

    Raises UnsayableError.
    """
    match spec.type:
        case "enum":
            return f"({'|'.join(map(text_of, spec.values))})"
        case "integer":
            signed = spec.minimum is None or spec.minimum < 0
            return f"{'-?' if signed else ''}[0-9]+"
        case "number":
            return "-?[0-9]+([.][0-9]+)?(e[-+]?[0-9]+)?"
        case _ if spec.format in _OF_FORMAT and spec.pattern is None:
            return _OF_FORMAT[spec.format]
        case _:
            pattern = pattern_of(spec)
            # Without a pattern it fills an element of argv; quell lets none begin with a dash.
            return f"({translated(pattern)})" if pattern else f"[^-[:space:]]{NO_BLANK}*"


def translated(pattern: str) -> str:
    """An RE2 pattern that covers a whole value, as POSIX extended. Raises UnsayableError."""
    bare = pattern.removeprefix("^")
    if bare.endswith("$") and not bare.endswith("\\$"):
        bare = bare[:-1]
    return "".join(_translated(bare))


def _translated(pattern: str) -> Iterator[str]:
    place = 0
    while place < len(pattern):
        character = pattern[place]
        if character == "[":
            end = _end_of_class(pattern, place)
            yield _class(pattern[place + 1 : end])
            place = end + 1
            continue
        if pattern.startswith("(?:", place):
            yield "("
            place += 3
            continue
        if character == "\\":
            yield _escape(pattern[place + 1 : place + 2])
            place += 2
            continue
        if character == ".":
            yield NO_BLANK
        elif character in "^$" or pattern.startswith("(?", place):
            raise UnsayableError(f"{pattern[place : place + 2]!r} inside")
        elif character == "?" and place and pattern[place - 1] in "*+?}":
            raise UnsayableError("a repetition that takes as little as it can")
        elif character in "()|*+?{}":
            yield character
        else:
            yield _literal(character)
        place += 1


def _escape(character: str) -> str:
    if character in _CLASSES:
        return f"[{_CLASSES[character]}]"
    if not character or character.isalnum():
        raise UnsayableError(f"'\\{character}'")
    return _literal(character)


def _literal(character: str) -> str:
    if character.isspace() or character in '\\"' or not character.isprintable():
        raise UnsayableError(f"the character {character!r}")
    if character in (_COMMENT, "^"):
        return f"\\{character}"
    return f"[{character}]" if character in _SPECIAL else character


def _end_of_class(pattern: str, start: int) -> int:
    place = start + 1
    if pattern.startswith("^", place):
        place += 1
    if pattern.startswith("]", place):  # a class is never empty, so this one is in it
        place += 1
    while place < len(pattern) and pattern[place] != "]":
        place += 2 if pattern[place] == "\\" or pattern.startswith("[:", place) else 1
    return place


def _class(inside: str) -> str:
    """A class of characters; a `#` stands beside it."""
    negated = inside.startswith("^")
    plain, beside, place = "", "", 1 if negated else 0
    while place < len(inside):
        character = inside[place]
        if character == "\\":
            place += 1
            character = inside[place : place + 1]
            if character in _CLASSES:
                plain += _CLASSES[character]
                place += 1
                continue
            if not character or character.isalnum():
                raise UnsayableError(f"'\\{character}'")
        if character in (_COMMENT, "[", "]") and _stands_alone(inside, place, plain):
            beside += character
        elif character.isspace() or character in '[]\\"^' or not character.isprintable():
            raise UnsayableError(f"the character {character!r} in a class")
        else:
            plain += character
        place += 1
    comment = _COMMENT in beside
    plain = _ordered(plain, beside)
    if negated and comment:
        raise UnsayableError(f"a class without {_COMMENT!r}")
    if negated:
        return f"[^{plain}[:space:]]"
    if comment:
        return f"([{plain}]|\\{_COMMENT})" if plain else f"\\{_COMMENT}"
    return f"[{plain}]"


def _stands_alone(inside: str, place: int, before: str) -> bool:
    """Whether it is a character of its own: no end of a range, no `[:` of a named class."""
    begins = inside.startswith("-", place + 1) and place + 2 < len(inside)
    return not (
        begins
        or (len(before) > 1 and before.endswith("-"))
        or inside[place] + inside[place + 1 : place + 2] == "[:"
    )


def _ordered(plain: str, beside: str) -> str:
    """`]` stands first in a class, a `[` where no `.`, `:` or `=` follows it, and a dash last."""
    if not {"[", "]"} & set(beside):
        return plain
    dash = "-" if plain.startswith("-") or plain.endswith("-") else ""
    return "".join(
        ("]" if "]" in beside else "", plain.strip("-"), "[" if "[" in beside else "", dash)
    )
