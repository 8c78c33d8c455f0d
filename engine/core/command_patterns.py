"""Commands of commands.yaml as patterns, in the words of what lets them through on a host.

Each element of an argv becomes a POSIX extended expression of what may stand there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.core import sudo_patterns
from engine.core.documents import Argument, CommandDocument
from engine.core.expressions import ExpressionError
from engine.core.host_commands import command_scope, runs_by_sudo
from engine.core.rendering import Renderable
from engine.core.sudo_patterns import UnsayableError
from engine.core.templates import Template, compile_template


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a text and an argument's values are written; both raise UnsayableError."""

    literal: Callable[[str], str]
    argument: Callable[[Argument], str]


def _extended(text: str) -> str:
    """This very text as a POSIX extended expression (POSIX.1-2017, 9.4)."""
    for character in text:
        if not character.isprintable():
            raise UnsayableError(f"the character {character!r}")
    return "".join(
        "\\^" if each == "^" else f"[{each}]" if each in ".[]{}()*+?$|\\" else each for each in text
    )


def _extended_argument(spec: Argument) -> str:
    # In sudoers alone a # would begin a comment, and a blank a further argument.
    pattern = sudo_patterns.of_argument(spec, _extended)
    return pattern.replace("\\#", "#").replace("[:space:]", "[:cntrl:]")


SUDOERS = Dialect(sudo_patterns.literal, sudo_patterns.of_argument)
EXTENDED = Dialect(_extended, _extended_argument)


def argv_patterns(
    argv: Sequence[str],
    command: CommandDocument,
    given: Mapping[str, Renderable],
    dialect: Dialect,
) -> list[str]:
    """A pattern for each element; `given` are the arguments as a playbook writes them.

    Raises UnsayableError where no pattern says what an element may be.
    """
    scope = command_scope(command.args)
    try:
        templates = [compile_template(text, scope) for text in argv]
    except ExpressionError as error:
        raise UnsayableError(str(error)) from None
    return [_pattern(each, command, given, dialect) for each in templates]


def authorized_line(
    argv: Sequence[str],
    command: CommandDocument,
    given: Mapping[str, Renderable],
    *,
    sudo_timeouts: bool,
) -> str:
    """One command as quell sends it: under `timeout`, and with sudo's own bound where that is set.

    Raises UnsayableError where no pattern says what an element may be.
    """
    words = argv_patterns(argv, command, given, EXTENDED)
    if sudo_timeouts and runs_by_sudo(argv):
        words[1:1] = ["-T", "[0-9]+"]
    return "\t".join(["timeout", "-k", "[0-9]+", "[0-9]+", *words])


def constant(value: Renderable) -> str | None:
    """The text that a playbook writes out; None where it is known only in a run."""
    if isinstance(value, Template):
        return value.text if value.is_constant else None
    return value if isinstance(value, str) else None


def _pattern(
    template: Template, command: CommandDocument, given: Mapping[str, Renderable], dialect: Dialect
) -> str:
    found = ""
    for part in template.parts:
        if isinstance(part, str):
            found += dialect.literal(part)
            continue
        name = part.text.strip().removeprefix("args.")
        if name not in command.args:
            raise UnsayableError(f"the expression {part.text}")
        written = constant(given.get(name))
        found += (
            dialect.argument(command.args[name]) if written is None else dialect.literal(written)
        )
    return found
