"""The functions of expressions: how each is called, what it gives, and what quell adds to CEL."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from engine.core.expression_tokens import Token, called

Ordered: TypeAlias = int | float | timedelta | datetime

# CEL's own duration() knows neither days nor weeks and can't be replaced, so calls of it go to
# this function. Its name is as long, which keeps the columns of later errors right.
OWN_DURATION: Final = "_quell_d"


@dataclass(frozen=True, slots=True)
class FunctionPage:
    """One function as the reference shows it."""

    name: str
    usage: str
    meaning: str


FUNCTIONS = (
    FunctionPage("all", "list.all(x, condition)", "whether the condition holds for every x"),
    FunctionPage("bool", 'bool("true")', "a bool from text"),
    FunctionPage("contains", 'text.contains("part")', "whether the part occurs in the text"),
    FunctionPage("double", 'double("1.5")', "a double from an int or a text"),
    FunctionPage(
        "duration",
        'duration("1h30m")',
        "a Prometheus duration: y, w, d, h, m, s, ms; largest first",
    ),
    FunctionPage("endsWith", 'text.endsWith("part")', "whether the text ends so"),
    FunctionPage("exists", "list.exists(x, condition)", "whether the condition holds for any x"),
    FunctionPage("exists_one", "list.exists_one(x, condition)", "whether it holds for just one x"),
    FunctionPage("filter", "list.filter(x, condition)", "the elements for which it holds"),
    FunctionPage("has", "has(result.field)", "whether the field is there; labels always are"),
    FunctionPage("indexOf", 'text.indexOf("part")', "where the part begins, from 0; -1: nowhere"),
    FunctionPage("int", 'int("5")', "an int from text or double; a timestamp's Unix seconds"),
    FunctionPage("join", 'list.join(",")', "the texts of a list with a separator between them"),
    FunctionPage("lowerAscii", "text.lowerAscii()", "A to Z in lower case"),
    FunctionPage("map", "list.map(x, value)", "a list of the values for every x"),
    FunctionPage("matches", 'text.matches("^re2$")', "whether the RE2 pattern occurs in the text"),
    FunctionPage("max", "max(a, b) or max(list)", "the largest number, duration or timestamp"),
    FunctionPage("min", "min(a, b) or min(list)", "the smallest number, duration or timestamp"),
    FunctionPage("replace", 'text.replace("old", "new")', "every occurrence replaced"),
    FunctionPage("size", "size(x) or x.size()", "characters of a text, elements of a list or map"),
    FunctionPage("split", 'text.split(",")', "the parts between the separators, as a list"),
    FunctionPage("startsWith", 'text.startsWith("part")', "whether the text begins so"),
    FunctionPage("string", "string(x)", "a number, bool, duration or timestamp as text"),
    FunctionPage("substring", "text.substring(from, to)", "characters from..to-1, from 0"),
    FunctionPage("timestamp", 'timestamp("2026-01-31T12:00:00Z")', "a time from RFC 3339 text"),
    FunctionPage("trim", "text.trim()", "the text without blanks at its ends"),
    FunctionPage("upperAscii", "text.upperAscii()", "a to z in upper case"),
)

_COMPARISONS = {
    "_<_": "less",
    "_<=_": "less_equals",
    "_>_": "greater",
    "_>=_": "greater_equals",
}
_EQUALITIES = {"_==_": "equals", "_!=_": "not_equals"}
_MIXED = (("int", "double"), ("double", "int"))
_COMPARABLE = ("bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration")


def environment_config() -> str:
    """CEL's own configuration: its comparisons declared again, for mixed numbers as well.

    The runtime compares an int with a double correctly; only the checker's declarations lack it,
    so that `result.latency_s < 5` would be a mistake.
    """
    lines = ["name: quell", "stdlib:", "  exclude_functions:"]
    lines += [f"    - name: {name!r}" for name in (*_COMPARISONS, *_EQUALITIES)]
    lines.append("functions:")
    same = tuple((kind, kind) for kind in _COMPARABLE)
    for name, word in _COMPARISONS.items():
        lines += _declaration(name, word, same + _MIXED)
    for name, word in _EQUALITIES.items():
        lines += _declaration(name, word, _MIXED)
        type_parameter = "{type_name: T, is_type_param: true}"
        lines += _overload(f"{word}_same", type_parameter, type_parameter)
    return "\n".join(lines)


def _declaration(name: str, word: str, pairs: Sequence[tuple[str, str]]) -> list[str]:
    lines = [f"  - name: {name!r}", "    overloads:"]
    for left, right in pairs:
        overload = f"{word}_{left}_{right}"
        lines += _overload(overload, f"{{type_name: {left}}}", f"{{type_name: {right}}}")
    return lines


def _overload(name: str, left: str, right: str) -> list[str]:
    return [
        f"      - id: {name}",
        f"        args: [{left}, {right}]",
        "        return: {type_name: bool}",
    ]


def with_own_duration(text: str, tokens: Sequence[Token]) -> str:
    """The expression with quell's own duration(), at the same columns."""
    for start in called(tokens, "duration"):
        text = text[:start] + OWN_DURATION + text[start + len(OWN_DURATION) :]
    return text


def extremes() -> dict[str, Callable[..., Ordered]]:
    """What `min` and `max` do; an empty list has neither, and mixed numbers give a double."""
    return {"min": _least, "max": _greatest}


def _least(*values: Ordered | list[Ordered]) -> Ordered:
    return _ordered(values)[0]


def _greatest(*values: Ordered | list[Ordered]) -> Ordered:
    return _ordered(values)[-1]


def _ordered(values: Sequence[Ordered | list[Ordered]]) -> list[Ordered]:
    elements: list[Ordered] = []
    for value in values:
        elements += value if isinstance(value, list) else [value]
    if not elements:
        raise ValueError("an empty list has no min and no max")
    try:
        found = sorted(elements)
    except TypeError as error:
        raise ValueError("min and max take values of one type") from error
    if any(isinstance(each, float) for each in found):
        return [float(each) for each in found if isinstance(each, int | float)]
    return found
