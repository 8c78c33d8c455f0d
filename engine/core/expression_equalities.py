"""Conditions that compare texts and nothing else, as most of a rule's cases do: `a == "x" && …`.

They need no call of CEL, which costs several times what they do.
"""

from collections.abc import Mapping, Sequence

from engine.core.expression_tokens import Token
from engine.core.expression_types import Scope

# By the name of a value: the text that it has to be.
Equalities = tuple[tuple[str, str], ...]


def equalities(tokens: Sequence[Token], scope: Scope) -> Equalities:
    """The comparisons of which all have to hold; none where the expression is anything else."""
    found = []
    start = 0
    for end in [*(at for at, each in enumerate(tokens) if each.text == "&&"), len(tokens)]:
        compared = _compared(tokens[start:end], scope)
        if compared is None:
            return ()
        found.append(compared)
        start = end + 1
    return tuple(found)


def _compared(tokens: Sequence[Token], scope: Scope) -> tuple[str, str] | None:
    if len(tokens) < 3 or tokens[-2].text != "==" or tokens[-1].kind != "text":
        return None
    name, text = "".join(each.text for each in tokens[:-2]), tokens[-1].text
    declared = scope.names.get(name)
    # Other spellings of a text (escapes, prefixes, three quotes) are CEL's to read.
    is_plain = text[0] in "\"'" and "\\" not in text and text[:3] not in ('"""', "'''")
    if declared is None or declared.kind != "string" or not is_plain:
        return None
    return name, text[1:-1]


def all_hold(compared: Equalities, values: Mapping[str, object]) -> bool | None:
    """Whether they do; None where a value is missing, and CEL has to say what comes of that."""
    for name, text in compared:
        value = values.get(name)
        if not isinstance(value, str):
            return None
        if value != text:
            return False
    return True
