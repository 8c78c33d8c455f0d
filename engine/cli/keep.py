"""`quell keep`: what a temporary remedy changed stays; its revert is called off."""

from typing import Annotated

import typer

from engine.cli.options import DATA, Data, Json
from engine.cli.output import print_json, say
from engine.cli.site import reach


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("keep")(keep)


def keep(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Of a run or an incident; INC-12 too.")],
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why it stays; people read it later.")
    ],
    data: Data = DATA,
    json: Json = False,
) -> int:
    """Let stay what a temporary remedy changed: it isn't taken back when its time is over.

    It is left to do, with this reason, until `quell rollback` takes it back. Exit code 1 where
    nothing would be taken back, or where that is under way.
    """
    with reach(data) as site:
        incident = site.keep(id_, reason=reason)
    if json:
        print_json(incident)
    else:
        say(f"{incident.name}: its change stays, and is left to do", style="yellow")
    return 0
