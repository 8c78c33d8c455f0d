"""`quell positions`: where the stream is read, and how a partition that can't go on is sent on."""

from collections.abc import Mapping
from typing import Annotated

import typer

from engine.cli.options import DATA, Data, Json, stands_alone
from engine.cli.output import Column, print_json, print_table, say
from engine.cli.site import reach
from engine.core.positions import Destination

verbs = typer.Typer(
    help="Where the stream is read, and what keeps a partition from going on.",
    invoke_without_command=True,
)

NAMED: Mapping[str, Destination] = {"first": "first", "end": "end"}
COLUMNS = (
    Column("partition", right=True),
    Column("position", right=True),
    Column("first", right=True),
    Column("end", right=True),
    Column("", styles={"stopped": "bold red"}),
)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(verbs, name="positions")


@verbs.callback()
def _default(context: typer.Context, data: Data = DATA, json: Json = False) -> int:
    """List them when no verb follows."""
    return listing(data=data, json=json) if stands_alone(context, data, json=json) else 0


@verbs.command("list")
def listing(data: Data = DATA, json: Json = False) -> int:
    """List each partition's position, and the first and end offset of what the stream holds.

    Exit code 1 when one is stopped: its records wait, and the reason is told.
    """
    with reach(data) as site:
        answer = site.positions()
    stopped = [each for each in answer.positions if each.stopped]
    if json:
        print_json(answer)
        return 1 if stopped else 0
    rows = [
        (
            str(each.partition),
            "" if each.position is None else str(each.position),
            str(each.first),
            str(each.end),
            "stopped" if each.stopped else "",
        )
        for each in answer.positions
    ]
    print_table(COLUMNS, rows)
    for each in stopped:
        say(each.stopped, style="bold red")
    return 1 if stopped else 0


@verbs.command("set")
def set_(
    partition: Annotated[int, typer.Argument(metavar="PARTITION", min=0)],
    to: Annotated[str, typer.Argument(metavar="OFFSET|first|end", help="Where it goes on.")],
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Kept in the journal, with your name.")
    ],
    data: Data = DATA,
    json: Json = False,
) -> int:
    """Send a stopped partition on, in the log that is there now.

    `first` goes on with the records that are there, `end` passes over them. What is passed over is
    never processed; `quell balance` counts it as skipped. A running engine goes on within seconds.
    Exit code 1 when the partition isn't stopped.
    """
    with reach(data) as site:
        answer = site.set_position(partition, _destination(to), reason=reason)
    if json:
        print_json(answer)
    else:
        passed = "1 record" if answer.passed_over == 1 else f"{answer.passed_over} records"
        say(f"partition {partition} goes on at {answer.position}; {passed} passed over")
    return 0


def _destination(text: str) -> Destination:
    if text in NAMED:
        return NAMED[text]
    if text.isascii() and text.isdecimal():
        return int(text)
    raise typer.BadParameter(f"{text!r} is no offset: write a number, `first` or `end`")
