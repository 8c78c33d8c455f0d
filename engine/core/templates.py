"""Texts with `${{ expression }}` inside: alone it yields the typed value, in text a string."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import re2

from engine.core.durations import format_duration
from engine.core.expression_tokens import Token, chain_from, read_tokens
from engine.core.expressions import (
    Bindings,
    Expression,
    ExpressionError,
    Scope,
    ValueType,
    compile_expression,
)

_OPENING = "${{"
_CLOSING = "}}"
# What Jinja's and Ansible's authors write: a name of ours, or any that ends there or is filtered.
# Go's templates, as of docker's, name values with a dot in front, and have words that stand alone.
_JINJA = re2.compile(
    r"\{\{-?\s*(?:(?:alert|args|incident|params|result|steps)\b|([A-Za-z_][\w.]*)\s*(?:-?\}\}|\|))"
)
_GO_WORDS = frozenset({"break", "continue", "else", "end"})
# References of quell.yaml, and those of plans.
_REFERENCE = re2.compile(r"\$\{(?:env|file|vault|secret):[^}]*\}")
_FORMATTED_KINDS = frozenset({"int", "double", "bool", "duration"})


@dataclass(frozen=True, slots=True)
class Template:
    """A checked text; `parts` are its constant pieces and its expressions, in order.

    `type` is the lone expression's type, and string for any other text.
    """

    text: str
    type: ValueType
    parts: tuple[str | Expression, ...]

    @property
    def is_constant(self) -> bool:
        """Whether it holds no expression, so that `evaluate` always gives `text`."""
        return not any(isinstance(part, Expression) for part in self.parts)

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """Those among its parts."""
        return tuple(part for part in self.parts if isinstance(part, Expression))

    @property
    def labels(self) -> frozenset[str]:
        """The labels that its expressions name."""
        named = (part.labels for part in self.parts if isinstance(part, Expression))
        return frozenset().union(*named)

    def evaluate(self, values: Mapping[str, object] | Bindings) -> object:
        """The typed value of a lone expression, else the joined text.

        Raises ExpressionFailedError when an expression has no value.
        """
        bindings = values if isinstance(values, Bindings) else Bindings(values)
        if len(self.parts) == 1 and isinstance(self.parts[0], Expression):
            return self.parts[0].evaluate(bindings)
        return "".join(
            part if isinstance(part, str) else _spelled(part.evaluate(bindings))
            for part in self.parts
        )


def compile_template(text: str, scope: Scope, expects: ValueType | None = None) -> Template:
    """Check a text and its expressions; `expects` is the type that its place needs.

    Inside text only values with a checked form are allowed: names declared as FORMATTED, numbers,
    bools and durations. Raises ExpressionError, whose column counts from the text's beginning.
    """
    parts: list[str | Expression] = []
    at = 0
    while (opening := text.find(_OPENING, at)) >= 0:
        if opening > at:
            parts.append(_plain(text[at:opening], at))
        start = opening + len(_OPENING)
        closed = _CLOSING in text[start:]
        tokens = read_tokens(text, start, in_template=True) if closed else ()
        end = text.find(_CLOSING, tokens[-1].end if tokens else start)
        if end < 0:
            raise ExpressionError(f"{_OPENING!r} isn't closed; add {_CLOSING!r}", opening + 1)
        if not tokens:
            raise ExpressionError("the expression is empty", opening + 1)
        alone = opening == 0 and not text[end + len(_CLOSING) :].strip("\n")
        parts.append(_expression(text, (start, end), scope, expects if alone else None))
        if not alone:
            _check_form(parts[-1], tokens, scope)
        at = end + len(_CLOSING)
        if alone:
            return Template(text, _type_of(parts[0]), tuple(parts))
    if at < len(text) or not parts:
        parts.append(_plain(text[at:], at))
    if expects is not None and expects.kind not in ("string", "dyn"):
        raise ExpressionError(f"this gives string, and {expects} is needed here", 1)
    return Template(text, ValueType.STRING, tuple(parts))


def _plain(part: str, start: int) -> str:
    """Text without expressions; it would be a pity to send one as it is written."""
    reference = _REFERENCE.search(part) if "${" in part else None
    if reference is not None:
        raise ExpressionError(
            f"nothing is filled in for {reference.group()!r} here: give the secret a name under "
            "`secrets` in quell.yaml, and that name to a parameter of type secret",
            start + reference.start() + 1,
        )
    written = _JINJA.finditer(part) if "{{" in part else ()
    found = next((each for each in written if each[1] not in _GO_WORDS), None)
    if found is not None:
        raise ExpressionError(
            "an expression begins with '${{' here; write it so, in quotes",
            start + found.start() + 1,
        )
    return part


def _expression(
    text: str, span: tuple[int, int], scope: Scope, expects: ValueType | None
) -> Expression:
    written = text[span[0] : span[1]]
    indent = len(written) - len(written.lstrip())
    try:
        return compile_expression(written.strip(), scope, expects)
    except ExpressionError as error:
        raise ExpressionError(error.message, span[0] + indent + error.column) from error


def _type_of(part: str | Expression) -> ValueType:
    return part.type if isinstance(part, Expression) else ValueType.STRING


def _check_form(part: str | Expression, tokens: Sequence[Token], scope: Scope) -> None:
    """Refuse a value of free form in a text: it could say more than its place means."""
    if _type_of(part).kind in _FORMATTED_KINDS or _type_of(part).secret:
        return
    if len(tokens) == 1 and tokens[0].kind == "text":
        return
    name = ".".join(chain_from(tokens, 0)) if tokens[0].kind == "name" else ""
    declared = scope.names.get(name)
    whole = len(tokens) == 2 * name.count(".") + 1
    if declared is not None and whole and declared.formatted:
        return
    subject = f"{name!r}" if name and whole else "this value"
    raise ExpressionError(
        f"{subject} has no checked form, so it can't stand inside a text: give the parameter a "
        "pattern or an enum, or write the expression alone",
        tokens[0].start + 1,
    )


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        return format_duration(value)
    return str(value)
