"""`quell demo`: one incident from alert to postmortem, on this machine alone."""

from typing import Annotated

import typer
import uvloop

from engine.cli.output import OUT


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("demo")(demo)


def demo(
    yes: Annotated[
        bool, typer.Option("--yes", help="Approve the plan by itself, without asking.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folder, and say where.")] = False,
) -> int:
    """See the whole of quell at work: a model server dies, and is brought back over SSH."""
    from engine.demo.stage import play  # no other verb needs it

    return uvloop.run(play(OUT, yes=yes, keep=keep))
