"""`quell answer`: what a run asks before its plan is made."""

from typing import Annotated

import typer

from engine.cli.options import DATA, Data, Json, Reason
from engine.cli.output import print_json, say
from engine.cli.site import reach


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("answer")(answer)


def answer(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Of a run or incident; INC-12 too.")],
    choice: Annotated[str, typer.Argument(metavar="CHOICE", help="One of those it names.")],
    step: Annotated[str, typer.Option(metavar="STEP", help="Where it asks several things.")] = "",
    reason: Reason = "",
    data: Data = DATA,
    json: Json = False,
) -> int:
    """Answer what a run asks; `quell incidents show` shows it. The first answer stands."""
    with reach(data) as site:
        site.answer(id_, choice, step=step, reason=reason)
    if json:
        print_json({"run": id_, "answer": choice})
    else:
        say(f"{id_} goes on with {choice}", style="green")
    return 0
