"""`quell stop`, `quell resume` and `quell cancel`: what they cover changes nothing more."""

from typing import Annotated

import typer

from engine.cli.options import DATA, Data, Json, Reason
from engine.cli.output import print_json, say
from engine.cli.site import reach
from engine.client.settings import client_settings
from engine.core.stops import StopScope, what_is_stopped
from engine.errors import NotFoundError
from engine.ports.api import StopsAnswer

Rule = Annotated[str, typer.Option("--rule", metavar="ID", help="The runs of this rule.")]
Playbook = Annotated[
    str, typer.Option("--playbook", metavar="ID", help="The runs of this playbook.")
]
Everything = Annotated[bool, typer.Option("--all", help="All runs.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("stop")(stop)
    app.command("resume")(resume)
    app.command("cancel")(cancel)


def stop(
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Ends the runs, and is shown.")
    ],
    rule: Rule = "",
    playbook: Playbook = "",
    all_: Everything = False,
    data: Data = DATA,
    json: Json = False,
) -> int:
    """Stop changing things: of a rule, of a playbook, or all.

    Runs under way end cancelled, and new ones at once, until `quell resume`. What is being done on
    a target is signalled within a second. Without an engine, the file STOP in its data folder does
    the same as --all.
    """
    scope, name = _scope(rule, playbook, all_=all_)
    with reach(data) as site:
        answer = site.stop(scope, name, reason=reason)
    if json:
        print_json(answer)
    else:
        tell_stops(answer)
    return 0


def resume(
    rule: Rule = "",
    playbook: Playbook = "",
    all_: Everything = False,
    reason: Reason = "",
    data: Data = DATA,
    json: Json = False,
) -> int:
    """Lift a stop, named as it was ordered; --all removes the file STOP too.

    What the stop ended stays ended. Exit code 2 when it isn't stopped.
    """
    from engine.app import remove_stop_file

    scope, name = _scope(rule, playbook, all_=all_)
    # With a server, the folder here isn't the one that its engine runs on.
    removed = scope == "all" and not client_settings().server and remove_stop_file(data)
    with reach(data) as site:
        try:
            answer = site.resume(scope, name, reason=reason)
        except NotFoundError:
            if not removed:
                raise
            answer = site.stops()  # no engine had seen the file yet
    if json:
        print_json(answer)
    else:
        say(f"resumed: {what_is_stopped(scope, name)}", style="green")
        tell_stops(answer)
    return 0


def cancel(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Of a run or an incident; INC-12 too.")],
    reason: Reason = "",
    data: Data = DATA,
    json: Json = False,
) -> int:
    """End the plan of one run: what is under way is signalled within a second.

    Then come its `on_cancel` and the rollback of what was done, once nothing can be under way.

    Exit code 1 when it has ended already.
    """
    with reach(data) as site:
        site.cancel_run(id_, reason=reason)
    if json:
        print_json({"cancelled": id_})
    else:
        say(f"the run of {id_} is cancelled, and undoes what it did", style="yellow")
        say(f"how it ends: quell incidents show {id_}", style="dim")
    return 0


def tell_stops(answer: StopsAnswer) -> None:
    """A line for each stop in force."""
    for each in answer.stops:
        why = f"{each.actor}, {each.at:%Y-%m-%d %H:%M:%S} UTC: {each.reason}"
        say(f"stopped: {what_is_stopped(each.scope, each.name)}, by {why}", style="bold red")


def _scope(rule: str, playbook: str, *, all_: bool) -> tuple[StopScope, str]:
    given: list[tuple[StopScope, str]] = []
    if rule:
        given.append(("rule", rule))
    if playbook:
        given.append(("playbook", playbook))
    if all_:
        given.append(("all", ""))
    if len(given) != 1:
        raise typer.BadParameter("write one of --rule ID, --playbook ID and --all")
    return given[0]
