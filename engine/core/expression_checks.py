"""What the type checker can't see: labels, the fields of list elements, literal durations."""

from collections.abc import Sequence

from engine.core.durations import parse_duration
from engine.core.expression_tokens import Token, chain_base, chain_from, text_at
from engine.core.expression_types import ExpressionError, Scope, ValueType
from engine.core.findings import nearest

_MACROS = frozenset({"exists", "all", "exists_one", "filter", "map"})


def check_words(tokens: Sequence[Token], scope: Scope) -> frozenset[str]:
    """The labels that an expression names; each is bound to "" where it is absent.

    Raises ExpressionError for a misspelt field of a list's element, a use of a map of labels in
    which absent and empty would differ, and a text that isn't a duration.
    """
    fields = _label_fields(scope)
    variables = _variables(tokens, scope)
    labels: set[str] = set()
    for index, token in enumerate(tokens):
        if token.kind != "name":
            continue
        within = text_at(tokens, index - 1) == "."
        if not within:
            _check_duration(tokens, index)
            _check_has(tokens, index, scope)
            _check_field(tokens, index, variables)
        if token.text in fields and (within or token.text in scope.names):
            labels.update(_label_behind(tokens, index))
            if _holds_labels(tokens, index, scope, variables):
                _check_label_map(tokens, index)
    return frozenset(labels)


def text_of(token: Token) -> str:
    """The value of a text token without escapes, which is how labels and durations are written."""
    body = token.text.lstrip("rRbB")
    quotes = 3 if body[:3] in ("'''", '"""') else 1
    value = body[quotes : len(body) - quotes]
    if "\\" in value:
        raise ExpressionError("write this text without a backslash", token.start + 1)
    return value


def _label_fields(scope: Scope) -> set[str]:
    """The last words of the names of maps of labels, such as `labels` and `annotations`."""
    found = {name.rpartition(".")[2] for name, declared in scope.names.items() if declared.labels}
    for declared in scope.names.values():
        if declared.element is not None:
            found.update(name for name, each in declared.element.fields if each.labels)
    return found


def _variables(tokens: Sequence[Token], scope: Scope) -> dict[str, ValueType]:
    """The variables of `exists` and the like with the type of what they go through."""
    found: dict[str, ValueType] = {}
    for index, token in enumerate(tokens):
        if token.text in _MACROS and text_at(tokens, index - 1) == ".":
            name = text_at(tokens, index + 2)
            if text_at(tokens, index + 1) == "(" and text_at(tokens, index + 3) == ",":
                base = chain_base(tokens, index)
                mapped = any(each.text == "map" for each in tokens[base:index])
                declared = _declared_at(tokens, base, scope)
                element = declared.element if declared is not None and not mapped else None
                found[name] = element or found.get(tokens[base].text, ValueType.DYN)
    return found


def _declared_at(tokens: Sequence[Token], base: int, scope: Scope) -> ValueType | None:
    """The declared type of the longest name that begins at `tokens[base]`."""
    parts = chain_from(tokens, base)
    for size in range(len(parts), 0, -1):
        declared = scope.names.get(".".join(parts[:size]))
        if declared is not None:
            return declared
    return None


def _holds_labels(
    tokens: Sequence[Token], index: int, scope: Scope, variables: dict[str, ValueType]
) -> bool:
    """Whether the field at `tokens[index]` is a declared map of labels, by where it comes from."""
    base = chain_base(tokens, index)
    declared = variables.get(tokens[base].text) or _declared_at(tokens, base, scope)
    return declared is not None and declared.has_labels


def _label_behind(tokens: Sequence[Token], index: int) -> list[str]:
    """The label in `labels.name` or `labels["name"]`, where `tokens[index]` is `labels`."""
    if text_at(tokens, index + 1) == "." and text_at(tokens, index + 3) != "(":
        return [text_at(tokens, index + 2).strip("`")]
    if text_at(tokens, index + 1) == "[" and index + 2 < len(tokens):
        key = tokens[index + 2]
        if key.kind == "text" and text_at(tokens, index + 3) == "]":
            return [text_of(key)]
    return []


def _check_label_map(tokens: Sequence[Token], index: int) -> None:
    """Refuse what would tell an absent label from an empty one, or could miss one."""
    first = chain_base(tokens, index)
    start = tokens[first].start + 1
    written = "".join(each.text for each in tokens[first : index + 1])
    named = _label_behind(tokens, index)
    if named and text_at(tokens, first - 1) == "(" and text_at(tokens, first - 2) == "has":
        raise ExpressionError(
            f'a label is always there, "" when it is absent: write {written}.{named[0]} != ""',
            start,
        )
    if not named and text_at(tokens, first - 1) == "in":
        raise ExpressionError(
            f'a label is always there, "" when it is absent: write {written}["name"] != ""', start
        )
    if not named and text_at(tokens, index + 1) == "[":
        raise ExpressionError(
            f'write the label as a text in quotes: {written}["name"]',
            tokens[index + 1].start + 1,
        )


def _check_field(tokens: Sequence[Token], index: int, variables: dict[str, ValueType]) -> None:
    parts = chain_from(tokens, index)
    if len(parts) < 2 or parts[0] not in variables:
        return
    fields = dict(variables[parts[0]].fields)
    if fields and parts[1] not in fields:
        valid = nearest(parts[1], fields) or f"; it has {', '.join(sorted(fields))}"
        raise ExpressionError(
            f"{parts[0]!r} has no field {parts[1]!r}{valid}", tokens[index + 2].start + 1
        )


def _check_has(tokens: Sequence[Token], index: int, scope: Scope) -> None:
    """Refuse `has` of a declared name, for which CEL gives the value instead of a bool."""
    if tokens[index].text != "has" or index + 2 >= len(tokens) or tokens[index + 1].text != "(":
        return
    name = ".".join(chain_from(tokens, index + 2))
    if name in scope.names and text_at(tokens, index + 2 * name.count(".") + 3) == ")":
        raise ExpressionError(
            f"{name!r} is always there; has() is for a field of a value, like result.body.field",
            tokens[index + 2].start + 1,
        )


def _check_duration(tokens: Sequence[Token], index: int) -> None:
    if tokens[index].text != "duration" or text_at(tokens, index + 1) != "(":
        return
    if text_at(tokens, index + 3) == ")" and tokens[index + 2].kind == "text":
        literal = tokens[index + 2]
        try:
            parse_duration(text_of(literal))
        except ValueError as error:
            raise ExpressionError(str(error), literal.start + 1) from error
