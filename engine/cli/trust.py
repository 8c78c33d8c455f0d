"""`quell trust`: how far each rule has earned it, and what people say of its runs."""

from typing import Annotated, Literal

import typer

from engine.cli.options import DATA, Data, Json
from engine.cli.output import Column, print_json, print_table, say
from engine.cli.site import reach
from engine.ports.rules_api import StandingAnswer

verbs = typer.Typer(help="How far each rule has earned trust: report, mark.", no_args_is_help=True)

COLUMNS = (
    Column("rule"),
    Column("environment"),
    Column("mode"),
    Column("runs", right=True),
    Column("right", right=True),
    Column("wrong", right=True),
    Column("unjudged", right=True),
    Column("at least", right=True),
    Column("lacks for auto", narrowest=16),
)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(verbs, name="trust")


@verbs.command("report")
def report(data: Data = DATA, json: Json = False) -> int:
    """Show per rule and environment what its runs came to, or would have.

    A rule is proposed for auto after 35 judged ones without a wrong one over 30 days. It only
    reports: the mode stands in the rule's file.
    """
    with reach(data) as site:
        answer = site.trust()
    if json:
        print_json(answer)
        return 0
    if not answer.standings:
        say("no rule has started a run yet, nor would have")
        return 0
    print_table(COLUMNS, map(_row, answer.standings))
    for each in answer.standings:
        for line in _more(each):
            say(f"  {each.rule} {each.environment}: {line}".rstrip())
    return 0


@verbs.command("mark")
def mark(
    incident: Annotated[str, typer.Argument(metavar="INCIDENT", help="INC-12, or its id.")],
    verdict: Annotated[
        Literal["right", "wrong"],
        typer.Argument(help="Whether its run was, or would have been, the right thing."),
    ],
    reason: Annotated[str, typer.Option("--why", metavar="TEXT", help="Kept in the journal.")] = "",
    data: Data = DATA,
    json: Json = False,
) -> int:
    """Say whether the run of an incident was right; the last word counts."""
    with reach(data) as site:
        site.judge(incident, verdict, reason=reason)
    if json:
        print_json({"incident": incident, "verdict": verdict})
    else:
        say(f"the run of {incident} is marked {verdict}", style="green")
    return 0


def _row(each: StandingAnswer) -> tuple[str, ...]:
    numbers = (each.cases, each.right, each.wrong, each.unjudged)
    return (
        *(each.rule, each.environment or "-", each.mode),
        *map(str, numbers),
        f"{each.at_least:.0%}",
        each.lacks or "nothing: a person may raise it",
    )


def _more(each: StandingAnswer) -> list[str]:
    told = []
    if each.guards:
        named = ", ".join(f"{name} {n}" for name, n in sorted(each.guards.items()))
        told.append(f"stopped by guards: {named}")
    counts = (("verified", each.verified), ("not needed", each.not_needed))
    told.extend(
        f"{name}: {n}" for name, n in (*counts, ("came back within a day", each.recurred)) if n
    )
    return told
