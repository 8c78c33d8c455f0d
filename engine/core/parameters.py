"""Typed values of parameters and command arguments: texts are read strictly, or not at all."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

import re2

from engine.core.bounds import size_of
from engine.core.documents import MAX_ITEMS, Argument, Format, Items, Parameter
from engine.core.expressions import Bindings, ExpressionFailedError
from engine.core.findings import nearest
from engine.core.inventory import Inventory
from engine.core.json_value import Json
from engine.core.rendering import Renderable, render
from engine.core.secret_references import NAME, name_in, reference_to
from engine.core.templates import Template
from engine.errors import QuellError

Spec: TypeAlias = "Parameter | Argument | Items"
Typed: TypeAlias = "str | int | float | bool | list[Typed]"

MAX_TEXT = 4096
MAX_VALUES_BYTES = 64 * 1024
_MAX_INTEGER = 2**53

# RE2 writes to standard error on a bad pattern unless told not to.
_QUIET = re2.Options()
_QUIET.log_errors = False

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}))*\.?)"
_ADDRESS = rf"(?:{_HOST}|\[[0-9A-Fa-f:.]+\])(?::[0-9]{{1,5}})?"
_FORMATS: Mapping[Format, tuple[str, str]] = {
    "host": (rf"{_HOST}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+", "a host name or an IP address"),
    "port": (r"[1-9][0-9]{0,4}", "a port, 1 to 65535"),
    "address": (_ADDRESS, "a host with or without a port, like 'gpu-07:9100'"),
    "path": (r"/[A-Za-z0-9@%_+=:,./-]*", "an absolute path without blanks and '..'"),
    "path_segment": (
        r"[A-Za-z0-9@%_+=:,.][A-Za-z0-9@%_+=:,.-]*",
        "one part of a path, without '/'",
    ),
    "url": (r"https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9@%_+=:,./?&~-]*)?", "an http(s) URL"),
}


class ParameterError(QuellError):
    """A value doesn't fit its parameter; the message says what would."""


@dataclass(frozen=True, slots=True)
class TypedParameter:
    """A parameter of a checked playbook; `default` is ready to use, or holds templates."""

    spec: Parameter
    default: Renderable = None

    @property
    def required(self) -> bool:
        """Whether who starts the playbook must give it."""
        return self.default is None

    @property
    def comes_from_alert(self) -> bool:
        """Whether only an alert gives its default."""
        several = self.default if isinstance(self.default, list) else [self.default]
        return any(isinstance(each, Template) for each in several)


@dataclass(frozen=True, slots=True)
class Arguments:
    """The values for a run, typed and complete; or the problems, then nothing may run."""

    values: Mapping[str, Json] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def check_parameters(
    parameters: Mapping[str, TypedParameter],
    given: Mapping[str, Json],
    inventory: Inventory,
    alert: Bindings | None = None,
) -> Arguments:
    """Read what was given strictly and fill in defaults; `alert` is None for a run by hand.

    A target may be given by an alias and becomes its id, a secret by its name, which becomes the
    reference to it.
    """
    values: dict[str, Json] = {}
    problems = [
        f"unknown parameter {name!r}{nearest(name, parameters)}"
        for name in given
        if name not in parameters
    ]
    for name, parameter in parameters.items():
        try:
            value = given[name] if name in given else _default(parameter, alert)
            values[name] = check_value(parameter.spec, value, inventory)
        except (ParameterError, ExpressionFailedError) as error:
            problems.append(f"{name}: {error}")
    if not problems and (size := size_of(values)) > MAX_VALUES_BYTES:
        problems.append(f"together they take {size} bytes, and {MAX_VALUES_BYTES} is the most")
    return Arguments({}, tuple(problems)) if problems else Arguments(values)


def _default(parameter: TypedParameter, alert: Bindings | None) -> object:
    if parameter.required:
        raise ParameterError("is required; give it a value")
    if not parameter.comes_from_alert:
        return parameter.default
    if alert is None:
        raise ParameterError("is taken from the alert, and there is none; give it a value")
    return render(parameter.default, alert)


def check_value(spec: Spec, value: object, inventory: Inventory | None = None) -> Typed:
    """The typed value; raises ParameterError. Without an inventory any target id or secret passes.

    Example: `check_value(integer, "5")` is 5, and "5.0", " 5" and True are refused. A list may be
    a text: `a,b`, or JSON where an item holds a comma.
    """
    match spec.type:
        case "string":
            return _text(spec, value)
        case "enum":
            if value not in spec.values:
                raise ParameterError(f"{value!r} is none of {', '.join(spec.values)}")
            return str(value)
        case "boolean":
            return _boolean(value)
        case "integer":
            return int(_in_range(spec, _number(value, int, "an integer")))
        case "number":
            return float(_in_range(spec, _number(value, float, "a number")))
        case "target":
            return _target(spec, value, inventory)
        case "secret":
            return _secret(spec, value, inventory)
        case "list":
            assert isinstance(spec, Parameter)
            return _list(spec, value, inventory)


def pattern_of(spec: Spec) -> str:
    """The pattern that whole values of a text must fit, "" where any does."""
    return spec.pattern or (_FORMATS[spec.format][0] if spec.format else "")


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> "re2._Regexp":
    """The pattern made ready; raises re2.error. Looking it up in re2 takes longer than matching."""
    return re2.compile(pattern, _QUIET)


def spec_problem(spec: Spec) -> str:
    """What is wrong with a parameter's own definition, "" when nothing is."""
    if spec.pattern is not None:
        try:
            _compiled(spec.pattern)
        except re2.error as error:
            return f"pattern {spec.pattern!r} isn't a valid RE2 expression: {_said(error)}"
    if spec.type == "enum" and not spec.values:
        return "an enum needs `values`"
    return _misplaced(spec) or (_list_problem(spec) if isinstance(spec, Parameter) else "")


def _misplaced(spec: Spec) -> str:
    """A word that belongs to another type, "" where none does."""
    if spec.type not in ("enum", "secret") and spec.values:
        return f"`values` belongs to types enum and secret, and this is a {spec.type}"
    if spec.type not in ("string", "secret") and spec.pattern is not None:
        return f"`pattern` belongs to types string and secret, and this is a {spec.type}"
    if spec.type != "string" and spec.format is not None:
        return f"`format` belongs to type string, and this is a {spec.type}"
    ranged = spec.minimum is not None or spec.maximum is not None
    if spec.type not in ("number", "integer") and ranged:
        return f"`minimum` and `maximum` belong to numbers, and this is a {spec.type}"
    if spec.minimum is not None and spec.maximum is not None and spec.minimum > spec.maximum:
        return f"no number fits: the minimum {spec.minimum:g} is above the maximum {spec.maximum:g}"
    if not isinstance(spec, Argument) and spec.kind is not None and spec.type != "target":
        return f"`kind` belongs to type target, and this is a {spec.type}"
    return _secret_problem(spec) if isinstance(spec, Parameter) and spec.type == "secret" else ""


def _secret_problem(spec: Parameter) -> str:
    if spec.values and spec.pattern is not None:
        return "`values` and `pattern` both say which secrets it takes; write one of them"
    if spec.values or spec.pattern is not None or spec.default is not None:
        return ""
    return (
        "say which secrets it takes, or who starts the playbook could choose any: "
        "`values: [balancer-token]`, a `pattern` of names, or a `default`, which is then the only"
    )


def _list_problem(spec: Parameter) -> str:
    sized = spec.min_items is not None or spec.max_items is not None
    if spec.type != "list":
        belongs = "`items`, `min_items` and `max_items` belong to type list"
        return f"{belongs}, and this is a {spec.type}" if sized or spec.items else ""
    if spec.items is None:
        return "a list needs `items`: what each of them is, like {type: target, kind: host}"
    least, most = _sizes(spec)
    if least > most:
        return f"`min_items` is {least} and `max_items` is {most}: no list has both"
    problem = spec_problem(spec.items)
    return f"items: {problem}" if problem else ""


def _sizes(spec: Parameter) -> tuple[int, int]:
    """How few and how many: a list that is left empty would do nothing and look like a success."""
    least = 1 if spec.min_items is None else spec.min_items
    return least, MAX_ITEMS if spec.max_items is None else spec.max_items


def _list(spec: Parameter, value: object, inventory: Inventory | None) -> Typed:
    found = _split(value) if isinstance(value, str) else value
    if spec.items is None or not isinstance(found, Sequence):
        raise ParameterError(f"{value!r} isn't a list; write it like [a, b], or as text: a,b")
    least, most = _sizes(spec)
    if not least <= len(found) <= most:
        wanted = f"at least {least}" if len(found) < least else f"at most {most}"
        raise ParameterError(f"the list has {len(found)} items, and it needs {wanted}")
    items: list[Typed] = []
    for number, each in enumerate(found, 1):
        try:
            item = check_value(spec.items, each, inventory)
        except ParameterError as error:
            raise ParameterError(f"item {number}: {error}") from error
        if item in items:
            # Two names of one target, too: it would be restarted twice.
            raise ParameterError(f"item {number}: {item!r} is there twice")
        items.append(item)
    return items


def _split(text: str) -> object:
    if not text.startswith("["):
        return text.split(",") if text else []
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"{text!r} isn't JSON: {error}") from error


def _text(spec: Spec, value: object) -> str:
    if not isinstance(value, str):
        raise ParameterError(f"{value!r} isn't text; put it in quotes")
    if len(value) > MAX_TEXT or "\0" in value:
        raise ParameterError(f"the text is longer than {MAX_TEXT} characters or holds a NUL")
    if value != value.encode(errors="replace").decode():
        raise ParameterError(f"{value!r} isn't valid Unicode text")
    if spec.pattern is not None and _compiled(spec.pattern).fullmatch(value) is None:
        raise ParameterError(f"{value!r} doesn't match the pattern {spec.pattern!r}")
    if spec.format is not None:
        pattern, meaning = _FORMATS[spec.format]
        if _compiled(pattern).fullmatch(value) is None or not _holds(spec.format, value):
            raise ParameterError(f"{value!r} isn't {meaning}")
    return value


def _holds(format_: Format, value: str) -> bool:
    """What a pattern can't say well."""
    match format_:
        case "port":
            return int(value) <= 65535
        case "path":
            return ".." not in value.split("/")
        case "path_segment":
            return value not in (".", "..")
        case _:
            return True


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise ParameterError(f"{value!r} isn't true or false")


def _number(value: object, read: Callable[[str], int | float], what: str) -> int | float:
    if isinstance(value, str) and re2.fullmatch(r"-?[0-9]{1,16}(?:\.[0-9]{1,16})?", value):
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ParameterError(f"{value!r} isn't {what}")
    if read is int and not isinstance(value, int):
        raise ParameterError(f"{value!r} isn't {what}")
    if not -_MAX_INTEGER <= value <= _MAX_INTEGER:
        raise ParameterError(f"{value!r} is out of range: at most 2^53 either way")
    return value


def _in_range(spec: Spec, value: int | float) -> int | float:
    if spec.minimum is not None and value < spec.minimum:
        raise ParameterError(f"{value!r} is below the minimum {spec.minimum:g}")
    if spec.maximum is not None and value > spec.maximum:
        raise ParameterError(f"{value!r} is above the maximum {spec.maximum:g}")
    return value


def _target(spec: Spec, value: object, inventory: Inventory | None) -> str:
    if not isinstance(value, str):
        raise ParameterError(f"{value!r} isn't the id of a target")
    if inventory is None:
        return value
    kind = None if isinstance(spec, Argument) else spec.kind
    target = inventory.target_id(value)
    if not target:
        if not value:
            raise ParameterError("no target is known; add it or an alias to the inventory")
        raise ParameterError(
            f"{value!r} is no target of the inventory{nearest(value, inventory.aliases)}"
        )
    found = inventory.targets[target].kind
    if kind is not None and found != kind:
        raise ParameterError(f"{value!r} is a {found}, and a {kind} is needed")
    return target


def _secret(spec: Spec, value: object, inventory: Inventory | None) -> str:
    """The reference to a secret; it is one already where a call hands it on."""
    name = name_in(value) if isinstance(value, str) else ""
    if re2.fullmatch(NAME, name) is None:
        # What is no name may be the secret itself.
        raise ParameterError("this isn't the name of a secret; quell.yaml has them under `secrets`")
    check_taken(spec, name)
    known = inventory.secrets if inventory is not None else None
    if known is not None and name not in known:
        raise ParameterError(
            f"{name!r} is none of the `secrets` of quell.yaml{nearest(name, known)}"
        )
    return reference_to(name)


def secrets_taken(spec: Spec) -> tuple[str, ...]:
    """The names of the secrets that a parameter takes; none where only its pattern says."""
    default = spec.default if isinstance(spec, Parameter) and spec.pattern is None else None
    return spec.values or ((default,) if isinstance(default, str) else ())


def check_taken(spec: Spec, name: str) -> None:
    """Raises ParameterError unless the playbook's author lets this secret be chosen."""
    if spec.pattern is not None:
        is_taken = _compiled(spec.pattern).fullmatch(name) is not None
        taken = f"those like {spec.pattern!r}"
    else:
        names = secrets_taken(spec)
        is_taken, taken = name in names, ", ".join(names)
    if not is_taken:
        raise ParameterError(
            f"{name!r} isn't one of the secrets that this parameter takes ({taken}); its playbook "
            "says which, by `values`, by a `pattern`, or else by its `default`"
        )


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else error
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
