"""`quell breaker try`: one more run of a playbook may try, after others failed in a row."""

from typing import Annotated

import typer

from engine.cli.options import DATA, Data, Json, Reason
from engine.cli.output import print_json, say
from engine.cli.site import reach

verbs = typer.Typer(help="Playbooks that failed in a row: try again.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(verbs, name="breaker")


@verbs.callback()
def group() -> None:
    """Keep `try` a verb of its own, though it is the only one."""


@verbs.command("try")
def try_again(
    playbook: Annotated[str, typer.Argument(metavar="PLAYBOOK", help="Its id.")],
    target: Annotated[
        str, typer.Option("--target", metavar="TARGET", help="Only what failed on this one.")
    ] = "",
    reason: Reason = "",
    data: Data = DATA,
    json: Json = False,
) -> int:
    """Let one more run try what a breaker stopped; when that fails too, it is stopped again.

    Exit code 2 when the playbook's last run did not fail.
    """
    with reach(data) as site:
        answer = site.try_again(playbook, target, reason=reason)
    if json:
        print_json(answer)
    else:
        say(f"one more run of {playbook} may try; excused: {', '.join(answer.excused)}")
    return 0
