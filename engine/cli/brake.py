"""`quell brake`: whether a storm keeps everything from acting by itself, and letting it again."""

import typer

from engine.cli.options import DATA, Data, Json, Reason
from engine.cli.output import print_json, say
from engine.cli.site import reach
from engine.ports.brake_api import BrakeAnswer

verbs = typer.Typer(help="The storm brake: auto asks a person.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(verbs, name="brake")


@verbs.command("show")
def show(data: Data = DATA, json: Json = False) -> int:
    """Say whether the brake is on, since when and why."""
    with reach(data) as site:
        answer = site.brake()
    if json:
        print_json(answer)
    else:
        tell_brake(answer)
    return 0


@verbs.command("lift")
def lift(reason: Reason = "", data: Data = DATA, json: Json = False) -> int:
    """Let rules in mode auto act by themselves again.

    The next storm turns the brake on again. Exit code 2 when it is off.
    """
    with reach(data) as site:
        answer = site.lift_brake(reason=reason)
    if json:
        print_json(answer)
    else:
        say("the storm brake is lifted: auto acts by itself again", style="green")
    return 0


def tell_brake(answer: BrakeAnswer) -> None:
    """One line."""
    if answer.on and answer.since is not None:
        since = f"{answer.since:%Y-%m-%d %H:%M:%S} UTC"
        say(f"the storm brake is on since {since}: {answer.reason}", style="bold red")
    else:
        say("the storm brake is off")
