"""`quell changed`: somebody other than a run of quell's changed something."""

from typing import Annotated

import typer
from pydantic import ValidationError

from engine.cli.options import DATA, Data, Json, Reason
from engine.cli.output import print_json, say
from engine.cli.site import reach
from engine.ports.change_api import ChangeOrder


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("changed")(changed)


def changed(
    what: Annotated[
        str, typer.Option("--what", metavar="TEXT", help="What it was: terraform apply of pool-a.")
    ],
    targets: Annotated[
        list[str] | None, typer.Argument(metavar="TARGET", help="Ids or aliases.")
    ] = None,
    services: Annotated[
        list[str] | None,
        typer.Option("--service", metavar="NAME", help="Changed as a whole; repeatable."),
    ] = None,
    reason: Reason = "",
    data: Data = DATA,
    json: Json = False,
) -> int:
    """Say that somebody changed something just now: a pipeline, an autoscaler, a person.

    For half an hour, or what a playbook says of others at work, a run that would change the same
    asks a person first, in auto too; so does one for an alert that begins after it there, or on
    what needs it. Exit code 2 for what the inventory doesn't know.
    """
    try:
        order = ChangeOrder(
            what=what, targets=tuple(targets or ()), services=tuple(services or ()), reason=reason
        )
    except ValidationError as error:
        raise typer.BadParameter(_told(error)) from None
    with reach(data) as site:
        answer = site.tell_change(order)
    if json:
        print_json(answer)
    else:
        say(f"kept: {answer.what} changed {', '.join((*answer.targets, *answer.services))}")
    return 0


def _told(error: ValidationError) -> str:
    first = error.errors()[0]
    said = first["msg"].removeprefix("Value error, ")
    return f"{first['loc'][0]}: {said}" if first["loc"] else said
