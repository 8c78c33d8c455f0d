"""Named host commands: typed arguments become argv, one value in one element, never a shell's text.

What a shell is told is made from this argv alone, by quoting each element.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from engine.core.actions import ProbeAnswer
from engine.core.documents import Argument, CommandDocument
from engine.core.expressions import (
    Bindings,
    Expression,
    ExpressionError,
    ExpressionFailedError,
    Scope,
    ValueType,
    compile_expression,
)
from engine.core.findings import nearest
from engine.core.json_value import Json, JsonObject
from engine.core.mistakes import Mistakes
from engine.core.parameters import ParameterError, check_value
from engine.core.scopes import parameter_type
from engine.core.templates import Template, compile_template
from engine.errors import PermanentError

# What a probe's `done` may name: how the probe ended now, and how it ended before the change.
_END: Final = {
    "exit_code": ValueType.INT,
    "stdout": ValueType.STRING,
    "stderr": ValueType.STRING,
}
DONE_SCOPE = Scope(
    {f"{when}.{name}": kind for when in ("result", "before") for name, kind in _END.items()}
)


@dataclass(frozen=True, slots=True)
class RenderedCommand:
    """A command with its arguments filled in; `probe_argv` is empty where there is no probe."""

    argv: tuple[str, ...]
    probe_argv: tuple[str, ...] = ()
    done: str = ""


def runs_by_sudo(argv: Sequence[str]) -> bool:
    """Whether the program is sudo, wherever it is; an empty argv is none."""
    return bool(argv) and argv[0].rpartition("/")[2] == "sudo"


def command_scope(arguments: Mapping[str, Argument]) -> Scope:
    """`args.<name>` for each argument: what the elements of `argv` may name."""
    return _scope(tuple((f"args.{name}", parameter_type(spec)) for name, spec in arguments.items()))


def render_command(
    name: str, command: CommandDocument, given: Mapping[str, Json]
) -> RenderedCommand:
    """Fill in the arguments; raises PermanentError naming the argument or element that is wrong."""
    values = _checked(name, command.args, given)
    scope = command_scope(command.args)
    probe = command.probe
    if command.repeat == "probe" and probe is None:
        raise PermanentError(f"command {name!r} has `repeat: probe` and no `probe`; add one")
    if probe is not None:
        _compiled_done(probe.done)
    return RenderedCommand(
        argv=tuple(_element(name, text, scope, values) for text in command.argv),
        probe_argv=tuple(_element(name, text, scope, values) for text in probe.argv)
        if probe
        else (),
        done=probe.done if probe else "",
    )


def judge_probe(done: str, result: JsonObject, before: JsonObject) -> ProbeAnswer:
    """What the end of a probe says: outputs now (`result`) and before the change.

    A probe that didn't run to its end, was cut or failed can't tell; a failure counts as an answer
    only where `done` looks at `exit_code` itself.
    """
    for end in (result, before):
        failed = end.get("exit_code") != 0 and "exit_code" not in done
        if failed or end.get("truncated"):
            return ProbeAnswer.CANNOT_TELL
    values = {f"result.{name}": result.get(name) for name in _END}
    values |= {f"before.{name}": before.get(name) for name in _END}
    try:
        holds = _compiled_done(done).evaluate(Bindings(values))
    except ExpressionFailedError:
        return ProbeAnswer.CANNOT_TELL
    return ProbeAnswer.DONE if holds else ProbeAnswer.NOT_DONE


def _checked(
    command: str, arguments: Mapping[str, Argument], given: Mapping[str, Json]
) -> Mapping[str, object]:
    for name in sorted(set(given) - set(arguments)):
        raise PermanentError(
            f"command {command!r} has no argument {name!r}{nearest(name, arguments)}"
        )
    values: dict[str, object] = {}
    for name, spec in arguments.items():
        if name not in given:
            raise PermanentError(f"command {command!r} needs the argument {name!r}")
        try:
            value = check_value(spec, given[name])
        except ParameterError as error:
            raise PermanentError(f"command {command!r}, argument {name!r}: {error}") from error
        # An approver must see what will run: no line breaks, escapes or reversed writing.
        if isinstance(value, str) and not value.isprintable():
            raise PermanentError(
                f"command {command!r}, argument {name!r}: {value!r} holds unprintable characters"
            )
        values[f"args.{name}"] = value
    return values


def _element(command: str, text: str, scope: Scope, values: Mapping[str, object]) -> str:
    try:
        template = _compiled(text, scope)
        value = template.evaluate(values)
    except (ExpressionError, ExpressionFailedError) as error:
        raise PermanentError(f"command {command!r}, argv element {text!r}: {error}") from error
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise PermanentError(
            f"command {command!r}, argv element {text!r} gives {value!r}; text or a number fits"
        )
    element = str(value)
    if not isinstance(template.parts[0], str) and element.startswith("-"):
        raise PermanentError(
            f"command {command!r}, argv element {text!r} gives {element!r}: a value may not begin "
            "with '-', the program would take it for an option"
        )
    return element


# A scope owns a compiled environment, so equal arguments share one.
@lru_cache(maxsize=256)
def _scope(names: tuple[tuple[str, ValueType], ...]) -> Scope:
    return Scope(dict(names))


@lru_cache(maxsize=1024)
def _compiled(text: str, scope: Scope) -> Template:
    return compile_template(text, scope)


@lru_cache(maxsize=256)
def _compiled_done(done: str) -> Expression:
    try:
        return compile_expression(done, DONE_SCOPE, ValueType.BOOL)
    except ExpressionError as error:
        raise PermanentError(f"`done: {done}`: {error}") from error


def unknown_command(name: str, known: Iterable[str], mistakes: Mistakes) -> None:
    """Record a command that isn't there; who writes one out is told where that belongs."""
    if " " in name:
        mistakes.add(
            f"{name!r} is no command's name: write it as the `argv` of a command in "
            "commands.yaml, and the name here"
        )
    else:
        mistakes.unknown("command", name, known)
