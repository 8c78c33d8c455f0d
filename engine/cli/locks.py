"""`quell locks`: which targets a run keeps others from changing, and letting go of them."""

from typing import Annotated

import typer

from engine.cli.options import DATA, Data, Json, Reason
from engine.cli.output import Column, ago, current_time, print_json, print_table, say
from engine.cli.site import reach

verbs = typer.Typer(help="Targets that runs keep locked: list, release.", no_args_is_help=True)

COLUMNS = (
    Column("target"),
    Column("incident"),
    Column("playbook", narrowest=12),
    Column("since", right=True),
    Column("run"),
)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(verbs, name="locks")


@verbs.command("list")
def listing(data: Data = DATA, json: Json = False) -> int:
    """List the targets that a run is at work on, and those that an ended one kept.

    A run that a stop ended halfway keeps its targets, so that nobody builds on what it left.
    """
    with reach(data) as site:
        answer = site.locks()
    if json:
        print_json(answer)
        return 0
    if not answer.locks:
        say("nothing is locked")
        return 0
    now = current_time()
    rows = (
        (
            lock.target,
            lock.incident,
            lock.playbook_id,
            ago(lock.since, now),
            "ended, keeps it" if lock.kept else "under way",
        )
        for lock in answer.locks
    )
    print_table(COLUMNS, rows)
    return 0


@verbs.command("release")
def release(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Its id in the inventory.")],
    reason: Reason = "",
    data: Data = DATA,
    json: Json = False,
) -> int:
    """Let go of a target that an ended run kept, with all others that it kept.

    Look at the target first: the run ended halfway. Exit code 1 while the run still goes on.
    """
    with reach(data) as site:
        answer = site.release_lock(target, reason=reason)
    if json:
        print_json(answer)
    else:
        freed = ", ".join(lock.target for lock in answer.locks)
        say(f"released: {freed}", style="green")
    return 0
