"""`quell raises`: what goes further by the files than before, and a second person who says yes."""

from typing import Annotated

import typer

from engine.cli.options import DATA, Data, Json, Reason
from engine.cli.output import print_json, say
from engine.cli.site import reach
from engine.ports.raises_api import RaisesAnswer

verbs = typer.Typer(help="Raised modes: a second person.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(verbs, name="raises")


@verbs.command("show")
def show(data: Data = DATA, json: Json = False) -> int:
    """Say what waits for a second person, and who activated it."""
    with reach(data) as site:
        answer = site.raises()
    if json:
        print_json(answer)
    else:
        tell_raises(answer)
    return 0


@verbs.command("confirm")
def confirm(
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="As `quell raises show` names it.")
    ],
    reason: Reason = "",
    data: Data = DATA,
    json: Json = False,
) -> int:
    """Let everything go as far as this version of the files says.

    Exit code 1 for who activated it, and where another version waits; 2 where nothing does.
    """
    with reach(data) as site:
        site.confirm_raises(version, reason=reason)
    if json:
        print_json({"confirmed": version})
    else:
        say(f"confirmed: {version} counts as it is written", style="green")
    return 0


def tell_raises(answer: RaisesAnswer) -> None:
    """A line for each part."""
    if not answer.raised:
        say("nothing waits for a second person")
        return
    say(f"{answer.version[:12]}, activated by {answer.activated_by}, waits:", style="bold")
    for each in answer.raised:
        say(f"  {each}")
