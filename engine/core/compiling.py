"""The texts inside documents made ready: each mistake is recorded with its place in the text."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from engine.core.documents import Parameter
from engine.core.durations import parse_duration
from engine.core.expressions import (
    Expression,
    ExpressionError,
    Scope,
    ValueType,
    compile_expression,
)
from engine.core.inventory import Inventory
from engine.core.json_value import Json
from engine.core.mistakes import Mistakes
from engine.core.parameters import ParameterError, Spec, check_taken, check_value
from engine.core.rendering import Renderable
from engine.core.scopes import parameter_type
from engine.core.templates import Template, compile_template

_KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "int": (int,),
    "double": (int, float),
    "bool": (bool,),
    "duration": (str,),
    "timestamp": (str,),
    "list": (list, tuple),
    "map": (dict,),
    "object": (dict,),
}
_PARAMETER = "params.<name>, which `parameters` declares"
_ITEM = "the name that the foreach gives in `as`"
# What other tools call the values of a playbook.
_FOREIGN_NAMES = {
    "inputs": _PARAMETER,
    "vars": _PARAMETER,
    "env": _PARAMETER,
    "ctx": _PARAMETER,
    "needs": "steps.<id>.<output>",
    "tasks": "steps.<id>.<output>",
    "item": _ITEM,
    "matrix": _ITEM,
}
_TEXTUAL = frozenset({"string", "duration", "timestamp"})


def compile_condition(text: str, scope: Scope, mistakes: Mistakes) -> Expression | None:
    """A bool expression, or None with its mistake recorded."""
    try:
        return compile_expression(text, scope, ValueType.BOOL)
    except ExpressionError as error:
        mistakes.add(_plainer(error, text, scope), error.column)
        return None


def compile_duration(text: str, mistakes: Mistakes, *, may_be_none: bool = False) -> timedelta:
    """A span longer than nothing, unless it may be none; zero with its mistake recorded."""
    try:
        span = parse_duration(text)
    except ValueError as error:
        mistakes.add(str(error))
        return timedelta(0)
    if not span and not may_be_none:
        mistakes.add(f"{text!r} is no time at all; write it like '30s'")
    return span


def compile_value(value: Json, scope: Scope, expects: ValueType, mistakes: Mistakes) -> Renderable:
    """The value with its templates compiled; what isn't of the expected type is a mistake."""
    if isinstance(value, str) and ("${{" in value or expects.kind in (*_TEXTUAL, "dyn")):
        return compile_text(value, scope, expects, mistakes)
    wanted = _KINDS.get(expects.kind)
    if wanted is not None and (
        not isinstance(value, wanted) or (isinstance(value, bool) and expects.kind != "bool")
    ):
        hint = "; put it in quotes" if expects.kind in _TEXTUAL else ""
        is_map = expects.kind in ("map", "object")
        needed = "keys and values are" if is_map else f"{expects} is"
        mistakes.add(f"this is {_kind_of(value)}, and {needed} needed here{hint}")
        return None
    element = expects.element or ValueType.DYN
    if isinstance(value, Mapping):
        fields = dict(expects.fields)
        return {
            key: compile_value(each, scope, fields.get(key, element), mistakes.at(key))
            for key, each in value.items()
        }
    if isinstance(value, Sequence):
        return [
            compile_value(each, scope, element, mistakes.at(index))
            for index, each in enumerate(value)
        ]
    return value


def compile_text(
    text: str, scope: Scope, expects: ValueType, mistakes: Mistakes
) -> Template | str | None:
    """A template, or the text itself where it holds no expression."""
    try:
        template = compile_template(text, scope, expects)
    except ExpressionError as error:
        mistakes.add(_plainer(error, text, scope), error.column)
        return None
    return text if template.is_constant else template


def compile_argument(
    value: Json, spec: Spec, scope: Scope, inventory: Inventory, mistakes: Mistakes
) -> Renderable:
    """A value for a parameter: a constant is read now, a template's type is checked."""
    if spec.type == "secret":
        return _secret(value, spec, scope, inventory, mistakes)
    if isinstance(value, list) and isinstance(spec, Parameter) and spec.items:
        before = len(mistakes.found)
        items = [
            compile_argument(each, spec.items, scope, inventory, mistakes.at(index))
            for index, each in enumerate(value)
        ]
        if len(mistakes.found) > before or any(isinstance(each, Template) for each in items):
            return items
    if not isinstance(value, str):
        return _constant(value, spec, inventory, mistakes)
    compiled = compile_text(value, scope, ValueType.DYN, mistakes)
    if isinstance(compiled, Template):
        if not _may_be(compiled.type, parameter_type(spec)):
            mistakes.add(f"this gives {compiled.type}, and a value of type {spec.type} is needed")
        return compiled
    return compiled if compiled is None else _constant(compiled, spec, inventory, mistakes)


def _secret(
    value: Json, spec: Spec, scope: Scope, inventory: Inventory, mistakes: Mistakes
) -> Renderable:
    """A secret's name, or another parameter of type secret: no alert and no output chooses one."""
    if isinstance(value, str):
        compiled = compile_text(value, scope.taking_secrets(), ValueType.STRING, mistakes)
        if compiled is None:
            return None
        if isinstance(compiled, Template) and compiled.type.secret:
            _check_handed_on(compiled.expressions[0].text, spec, scope, mistakes)
            return compiled
        if isinstance(compiled, Template):
            mistakes.add(
                "a secret is chosen by its name, written out, or by another parameter of type "
                "secret alone: an alert or an output could choose any"
            )
            return None
    return _constant(value, spec, inventory, mistakes)


def _check_handed_on(name: str, spec: Spec, scope: Scope, mistakes: Mistakes) -> None:
    """What a playbook may hand on, the other one takes; of patterns, only a plan can tell."""
    try:
        for each in scope.secrets[name]:
            check_taken(spec, each)
    except ParameterError as error:
        mistakes.add(f"{name} may hand on a secret that is not taken: {error}")


def _may_be(given: ValueType, wanted: ValueType) -> bool:
    """Labels are texts, so every parameter reads a text; the run tells whether it fits."""
    if given.kind == "list" and wanted.kind == "list":
        return _may_be(given.element or ValueType.DYN, wanted.element or ValueType.DYN)
    if given.kind in ("string", "dyn", wanted.kind) or wanted.kind == "dyn":
        return True
    return (given.kind, wanted.kind) == ("int", "double")


def _constant(value: Json, spec: Spec, inventory: Inventory, mistakes: Mistakes) -> Renderable:
    try:
        return check_value(spec, value, inventory)
    except ParameterError as error:
        mistakes.add(str(error))
        return None


def _plainer(error: ExpressionError, text: str, scope: Scope) -> str:
    """The message, with the reason where a name is known elsewhere and not in this place."""
    if not error.message.startswith("unknown name"):
        return error.message
    name = _name_at(text, error.column - 1)
    first = name.partition(".")[0]
    is_of_playbook = "alert.name" not in scope.names
    if first in _FOREIGN_NAMES and is_of_playbook:
        return f"{first!r} isn't known here; write {_FOREIGN_NAMES[first]}"
    if name.startswith("alert.") and is_of_playbook:
        return (
            f"{name!r} is known only in rules and in a parameter's default: add a parameter with "
            f"`default: '${{{{ {name} }}}}'` and use `params` here"
        )
    if name.startswith("secrets."):
        usual = name.removeprefix("secrets.").lower().replace("_", "-")
        return (
            f"{name!r} isn't known: name the secret under `secrets` in quell.yaml, add a parameter "
            f"like `token: {{type: secret, default: {usual}}}`, and use `params.token` here"
        )
    if name.startswith("steps."):
        return _unknown_output(name, scope)
    return error.message


def _unknown_output(name: str, scope: Scope) -> str:
    _, step, *rest = name.split(".")
    prefix = f"steps.{step}."
    gives = sorted(each.removeprefix(prefix) for each in scope.names if each.startswith(prefix))
    if gives:
        return f"step {step!r} gives no {'.'.join(rest)!r}; it gives {', '.join(gives)}"
    loop = scope.loops.get(step)
    if loop == step:
        return f"step {step!r} is a loop, and gives nothing itself: read anew what it changed"
    if loop is not None:
        return (
            f"step {step!r} is one of the loop {loop!r}, done for each of its items; outside of "
            "the loop it has no value: name it in a step of the loop, or read anew what it changed"
        )
    return (
        f"{name!r} isn't known here: inputs see what `investigate` gave, `if` also earlier "
        "steps, and no change is fed by another change"
    )


def _name_at(text: str, start: int) -> str:
    end = start
    while end < len(text) and (text[end].isalnum() or text[end] in "._"):
        end += 1
    return text[start:end]


def _kind_of(value: Json) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "a bool"
        case int():
            return "an int"
        case float():
            return "a double"
        case str():
            return f"the text {value!r}"
        case Mapping():
            return "a map"
        case _:
            return "a list"
