"""docs/cli.md, made from the verbs themselves: python -m engine.cli.page > docs/cli.md"""

import inspect
import sys
from collections.abc import Iterator

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from engine.cli.main import command_line

_INTRODUCTION = """\
# The command line

`quell VERB [OPTIONS]`. Every verb has `--help`.

| exit code | meaning |
|---|---|
| 0 | fine |
| 1 | findings, or refused |
| 2 | usage or configuration |
| 3 | server unreachable, or the run failed |

Results go to standard output, as tables for people or with `--json` for programs; what went wrong
goes to standard error. Colours only on a terminal; into a pipe no line is cut.

Where verbs ask and decide: `QUELL_SERVER` (with `QUELL_TOKEN`, and `QUELL_CA`, the file of a
private authority) names a server. Without it, the engine that runs on `--data` is found by
`DIR/server.json`. When none runs there, reading verbs open the folder for reading only
(`quell incidents` says so on standard error), and
`approve`, `reject`, `stop`, `resume`, `cancel`, `locks release`, `breaker try`, `brake lift`,
`raises confirm` and `positions set` are kept in it: they take effect when an engine starts.

`quell up` and `quell serve` end on Ctrl-C or SIGTERM, with exit code 0: open requests are answered,
nothing new begins, and what is under way on a host gets `stop_grace` to end; what it doesn't is
looked at after the next start. A second signal ends them at once, which loses nothing either.
"""


def page() -> str:
    """The whole page."""
    command = get_command(command_line())
    parts = [_INTRODUCTION, *_sections(command, typer.Context(command, info_name="quell"))]
    return "\n".join(parts) + "\n<!-- Generated: python -m engine.cli.page > docs/cli.md -->\n"


def _sections(command: object, context: typer.Context) -> Iterator[str]:
    if isinstance(command, TyperGroup):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                inside = typer.Context(inner, info_name=name, parent=context)
                yield from _sections(inner, inside)
    elif isinstance(command, TyperCommand):
        yield _section(command, context)


def _section(command: TyperCommand, context: typer.Context) -> str:
    usage = " ".join((context.command_path, *command.collect_usage_pieces(context)))
    lines = [f"## {context.command_path}", "", f"`{usage}`", ""]
    lines += [inspect.cleandoc(command.help or ""), ""]
    records = [each.get_help_record(context) for each in command.get_params(context)]
    for name, meaning in filter(None, records):
        if "--help" not in name:
            lines.append(f"- `{name}`: {meaning}".removesuffix(": "))
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.stdout.write(page())
