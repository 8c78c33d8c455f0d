"""A validator's errors as findings: short, at their place in the file, with what to write."""

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from engine.catalog.yaml_hints import quoted_at, quoted_line
from engine.catalog.yaml_nodes import MappingNode, Node, Scalar, SequenceNode, follow
from engine.core.documents import FORMS
from engine.core.findings import Finding, closest, nearest

_WANTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "keys and values",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "mapping_type": "keys and values",
    "model_attributes_type": "keys and values",
    "model_type": "keys and values",
    "path_type": "a path",
    "string_type": "text",
    "tuple_type": "a list",
}
# Kinds whose message names only the bound that the model sets.
_BOUNDS = frozenset(
    {
        "finite_number",
        "greater_than",
        "greater_than_equal",
        "less_than",
        "less_than_equal",
        "multiple_of",
        "string_too_long",
        "too_long",
    }
)
# Kinds that say that a model's keys must be here.
_MODEL_KINDS = frozenset({"model_attributes_type", "model_type"})
_PLAIN = {
    "extra_forbidden": "this key is unknown",
    "missing": "this key is missing",
    "string_too_short": "this must not be empty",
}
_MAX_SHOWN = 60
# Nobody reads more, and each is looked up in its file.
MAX_MISTAKES = 500
# Shorter pieces of a message are words that happen to be alike.
_SHORTEST_SECRET = 4


def findings_of(
    error: ValidationError, node: Node, model: type[BaseModel], *, show_values: bool = True
) -> list[Finding]:
    """One finding for each place with a mistake, in the order of the file.

    `node` is what was validated and `model` the model that did it: its fields are the valid keys.
    Without `show_values` no message holds anything of the file but keys, for files with secrets.
    """
    every = error.errors(include_url=False)
    mistakes = [
        _Mistake(details, node, model, show_values=show_values) for details in every[:MAX_MISTAKES]
    ]
    # They aren't compared two by two: there may be hundreds.
    known_better = frozenset(path for each in mistakes for path in each.explained)
    misspelt = frozenset(each.meant for each in mistakes if each.meant)
    found: dict[tuple[int, int], dict[str, None]] = {}
    either: set[tuple[int, int]] = set()
    for mistake in mistakes:
        if not mistake.is_beside(known_better) and mistake.missing not in misspelt:
            found.setdefault(mistake.place, {})[mistake.message] = None
            if mistake.in_union:
                either.add(mistake.place)
    findings = [
        Finding(node.source.file, *place, ("; or " if place in either else "; ").join(messages))
        for place, messages in sorted(found.items())
    ]
    if left := len(every) - len(mistakes):
        more = f"{left} more mistakes aren't shown; mend those that are first"
        findings.append(Finding(node.source.file, node.line, node.column, more))
    return findings


class _Mistake:
    """One error of the validator, with its place in the file."""

    def __init__(
        self, details: ErrorDetails, root: Node, model: type[BaseModel], *, show_values: bool
    ) -> None:
        self._kind = details["type"]
        at, self._real = follow(root, details["loc"])
        self.in_union = len(self._real) < len(details["loc"])
        self.place = (at.line, at.column)
        # The key that is missing, and the one that an unknown key was meant to be, each as a path.
        self.missing: tuple[str | int, ...] = ()
        self.meant: tuple[str | int, ...] = ()
        if details["loc"] and details["loc"][-1] == "[key]":
            self.place = key_place(root, self._real)
        if self._kind == "extra_forbidden" and self._real:
            name = str(self._real[-1])
            self.place = key_place(root, self._real)
            valid = _keys(models_at(model, self._real[:-1]))
            self.message = _unknown_key(name, valid)
            self.meant = (*self._real[:-1], closest(name, valid))
        elif self._kind == "missing":
            self.in_union = len(self._real) < len(details["loc"]) - 1
            self.message = f"key {str(details['loc'][-1])!r} is missing"
            self.missing = (*self._real, details["loc"][-1])
        elif show_values:
            self.message = _message(details, at)
        else:
            self.message = said_of(details)
        if self._kind in _MODEL_KINDS and isinstance(at, Scalar | SequenceNode):
            self.message += _shape(models_at(model, self._real))

    @property
    def explained(self) -> Iterator[tuple[str | int, ...]]:
        """Places of whose mistakes this one says more: all around it, and its own if it misses."""
        for depth in range(len(self._real)):
            yield tuple(self._real[:depth])
        if self._kind == "missing":
            yield tuple(self._real)

    def is_beside(self, known_better: frozenset[tuple[str | int, ...]]) -> bool:
        """Whether it says that a union's branch has the wrong type, and another knows better.

        A text where a union takes a text or a list of cases fails both; when the mistake is inside
        of one case, that it isn't a text either helps nobody.
        """
        return self.in_union and self._kind in _WANTED and tuple(self._real) in known_better


def key_place(root: Node, path: Sequence[str | int]) -> tuple[int, int]:
    """Line and column of the key that a path ends with."""
    parent, _ = follow(root, path[:-1])
    entry = parent.entry(str(path[-1])) if isinstance(parent, MappingNode) else None
    place = entry[0] if entry is not None else parent
    return place.line, place.column


def _keys(models: Iterable[type[BaseModel]]) -> set[str]:
    return {field.alias or key for each in models for key, field in each.model_fields.items()}


def _shape(models: Iterable[type[BaseModel]]) -> str:
    """The keys that a model needs, as they would be written; "" where it needs none."""
    needed = [
        field.alias or key
        for each in models
        for key, field in each.model_fields.items()
        if field.is_required()
    ]
    return f"; write it like {{{', '.join(f'{key}: …' for key in needed)}}}" if needed else ""


def _unknown_key(name: str, valid: set[str]) -> str:
    hint = nearest(name, valid)
    if not hint and valid:
        hint = f"; known are {', '.join(sorted(valid))}"
    return f"unknown key {name!r}{hint}"


def models_at(annotation: object, path: Sequence[str | int]) -> Iterator[type[BaseModel]]:
    """The models that a path of a model's file leads to; several behind a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not path:
            yield annotation
            return
        for key, field in annotation.model_fields.items():
            if path[0] in (key, field.alias):
                yield from models_at(field.annotation, path[1:])
        return
    origin = get_origin(annotation)
    is_container = isinstance(origin, type) and issubclass(origin, Container)
    for argument in get_args(annotation):
        if not is_container:
            yield from models_at(argument, path)
        elif path:
            yield from models_at(argument, path[1:])


def _message(details: ErrorDetails, at: Node) -> str:
    kind = details["type"]
    context: dict[str, Any] = details.get("ctx", {})
    given = _shown(details["input"])
    if kind in _WANTED:
        return _wrong_type(_WANTED[kind], at, given)
    special: dict[str, Callable[[], str]] = {
        "value_error": lambda: str(context["error"]),
        "assertion_error": lambda: str(context["error"]),
        "literal_error": lambda: _not_one_of(at, str(details["input"]), _expected(context)),
        "enum": lambda: _not_one_of(at, str(details["input"]), _expected(context)),
        "string_pattern_mismatch": lambda: _not_of_form(
            str(details["input"]), given, context["pattern"]
        ),
    }
    if kind in special:
        return special[kind]()
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind == "too_short":
        return _too_few(context["min_length"])
    said = _bound(details["msg"])
    return f"{given} isn't right: it must be {said}" if said != details["msg"] else said


def said_of(details: ErrorDetails) -> str:
    """What must be at a place, without a word of what is there, for values with secrets."""
    kind = details["type"]
    context: dict[str, Any] = details.get("ctx", {})
    if kind in _WANTED:
        return f"{_WANTED[kind]} must be here"
    if kind in ("literal_error", "enum"):
        return f"this must be one of {', '.join(_expected(context))}"
    if kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        return f"this must have the form {FORMS.get(pattern, pattern)}"
    if kind in _BOUNDS:
        said = _bound(details["msg"])
        return f"this must be {said}" if said != details["msg"] else said
    if kind in ("value_error", "assertion_error"):
        return _without(str(context["error"]), details["input"])
    if kind == "too_short":
        return _too_few(context["min_length"])
    return _PLAIN.get(kind, f"this isn't right: {kind}")


def _too_few(least: int) -> str:
    return "this must not be empty" if least == 1 else f"at least {least} must be here"


def _without(message: str, given: object) -> str:
    """What one of our validators says, without the value, or any part of it, that it looked at."""
    for value in sorted(_leaves(given), key=len, reverse=True):
        message = message.replace(repr(value), "this")
        if len(value) >= _SHORTEST_SECRET:
            message = message.replace(value, "this")
    return message


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _leaves(each)
    elif value not in (None, ""):
        yield str(value)


def _bound(message: str) -> str:
    return message.removeprefix("Input should be ").removeprefix("Value should be ")


def _expected(context: Mapping[str, Any]) -> list[str]:
    expected = str(context["expected"])
    return [word.strip("' ") for part in expected.split(" or ") for word in part.split(",")]


def _wrong_type(wanted: str, at: Node, given: str) -> str:
    line = at.source.lines[at.line - 1]
    if isinstance(at, Scalar):
        if wanted == "text" and not at.is_quoted and at.text:
            shown = quoted_at(line, at.column - 1, at.text)
            return f"{at.text} isn't text here; quote it: {shown}"
        if wanted == "text":
            return "text is missing here"
        if wanted == "keys and values" and ":" in at.text and not at.is_quoted:
            return f"{given} is one text; write a blank behind the ':' of a key"
        if not at.is_quoted and not at.text:
            return f"{wanted} is missing here"
        if wanted in ("a number", "a whole number", "true or false") and at.is_quoted:
            return f"{given} is text; write {wanted} without quotes"
    if wanted == "text" and isinstance(at, MappingNode) and len(at.entries) == 1:
        return f"': ' makes this a key and a value; quote it: {quoted_line(line)}"
    kind = {SequenceNode: "a list", MappingNode: "keys and values"}.get(type(at), given)
    hint = "; begin each element with '- '" if wanted == "a list" and kind != given else ""
    return f"{wanted} must be here, not {kind}{hint}"


def _not_of_form(text: str, given: str, pattern: str) -> str:
    """What the form is, and the text as it would have it."""
    bare = re.sub(r"\.ya?ml$", "", text.lower())
    like = (re.sub(r"[\W_]+", joint, bare).strip(joint) for joint in "-_")
    fitting = next((each for each in like if re.fullmatch(pattern, each)), "")
    hint = f", did you mean {fitting!r}?" if fitting else ""
    if pattern in FORMS:
        return f"{given} doesn't fit: {FORMS[pattern]}{hint}"
    return f"{given} doesn't have the form {pattern}"


def _not_one_of(at: Node, given: str, words: Sequence[str]) -> str:
    if not isinstance(at, Scalar):
        return f"write {words[0]} here" if len(words) == 1 else f"write one of {', '.join(words)}"
    if len(words) == 1:
        return f"write {words[0]} here, not {given!r}"
    return f"{given!r} isn't one of {', '.join(words)}{nearest(given, words)}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
