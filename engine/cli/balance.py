"""`quell balance`: every alert accounted for."""

import typer

from engine.cli.options import DATA, Data, Json
from engine.cli.output import Column, print_json, print_table, say
from engine.cli.site import reach


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("balance")(balance)


def balance(data: Data = DATA, json: Json = False) -> int:
    """Count what became of every alert.

    Records in the stream = dispositions + waiting. Exit code 1 when they differ: an alert is lost.
    """
    with reach(data) as site:
        found = site.balance()
    if json:
        print_json(found)
        return 1 if found.difference else 0
    rows = [(name, str(count)) for name, count in found.dispositions.items()]
    rows += [("waiting", str(found.waiting)), ("records", str(found.records))]
    print_table((Column("became"), Column("records", right=True)), rows)
    if found.difference:
        say(f"{found.difference} records have no disposition", style="bold red")
        return 1
    say("balanced", style="green")
    return 0
