"""Whether a command's argv is what it looks like: one program, its arguments, and no shell.

Nothing that an alert or a person gives is ever read again as code.
"""

from collections.abc import Sequence

import re2

from engine.core.documents import CommandDocument
from engine.core.mistakes import Mistakes
from engine.core.rendering import Renderable
from engine.core.templates import Template

# What reads one of its arguments as a program, and the options that say which one.
_CODE = {
    **dict.fromkeys(("sh", "ash", "bash", "dash", "ksh", "zsh", "su", "script"), r"-[a-z]*c"),
    **dict.fromkeys(("python", "python3", "python2"), r"-[A-Za-z]*c"),
    **dict.fromkeys(("perl", "ruby"), r"-[A-Za-z]*[eE]"),
    **dict.fromkeys(("node", "php"), r"-[A-Za-z]*[eEpr]|--eval|--print"),
    "env": r"-[a-z0]*S|--split-string",
}
_OF_A_SHELL = frozenset({"|", "||", "&&", ">", ">>", "<", "2>", "2>&1"})
_TAKEN = re2.compile(r"\bargs\.(\w+)")
_CONTROL = re2.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def check_argv(argv: Sequence[str], compiled: Sequence[Renderable], mistakes: Mistakes) -> None:
    """Note each element that isn't what its author takes it for.

    `argv` isn't empty; `compiled` has a Template for each element with an expression.
    """
    if not isinstance(compiled[0], Template):
        _check_program(argv[0], mistakes.at(0))
    reader = ""
    for index, element in enumerate(argv):
        here = mistakes.at(index)
        if element in _OF_A_SHELL:
            here.add(f"{element!r} is an argument like any other, because no shell reads it")
        if _CONTROL.search(element):
            here.add("a control character can't be in an argument; remove it")
        is_code = reader and re2.fullmatch(_CODE[reader], argv[index - 1])
        if is_code and isinstance(compiled[index], Template):
            here.add(
                f"{reader} reads this as code, and a value must never be code: write the code as "
                "it is, and give it the value as an argument of its own, like "
                "[sh, -c, 'rm -- \"$1\"', sh, '${{ args.file }}']"
            )
        name = element.rpartition("/")[2]
        reader = name if name in _CODE else reader


def check_used(command: CommandDocument, mistakes: Mistakes) -> None:
    """Note each argument that no element takes: people would approve a value that does nothing."""
    elements = (*command.argv, *(command.probe.argv if command.probe else ()))
    used = {name for each in elements for name in _TAKEN.findall(each.partition("${{")[2])}
    for name in command.args:
        if name not in used:
            mistakes.at("args", name).add(
                f"no element of `argv` takes it; write it there as '${{{{ args.{name} }}}}'"
            )


def _check_program(program: str, mistakes: Mistakes) -> None:
    if not program.strip():
        mistakes.add("the program is missing")
    elif any(each.isspace() for each in program):
        mistakes.add(
            "the program is one element and each argument another, because no shell reads it: "
            f"[{', '.join(program.split())}]"
        )
