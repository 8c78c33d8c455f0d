"""`quell waiting`: alerts that fire and open nothing yet, and why."""

from datetime import datetime
from typing import Annotated

import typer

from engine.cli.options import DATA, Data, Json
from engine.cli.output import Column, ago, current_time, print_json, print_table, say
from engine.cli.site import reach
from engine.ports.rules_api import WaitingAlert

COLUMNS = (
    Column("alert"),
    Column("service", narrowest=10),
    Column("rule", narrowest=14),
    Column("waits"),
    Column("since", right=True),
    Column("until"),
)
WHY = {
    "silenced": "silenced",
    "inhibited": "while what inhibits it fires",
    "absorbed": "while its cause fires",
    "for": "until it has fired long enough",
    "window": "for more of its kind",
    "all_of": "for the other alerts",
    "absent": "a heartbeat",
}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("waiting")(waiting)


def waiting(
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=500, help="At most so many.")
    ] = 50,
    data: Data = DATA,
    json: Json = False,
) -> int:
    """List alerts that fire and open no incident yet, the latest first, and what they wait for."""
    with reach(data) as site:
        answer = site.waiting(limit)
    if json:
        print_json(answer)
        return 0
    if not answer.waiting:
        say("no alert waits")
        return 0
    now = current_time()
    print_table(COLUMNS, (_row(each, now) for each in answer.waiting))
    return 0


def _row(each: WaitingAlert, now: datetime) -> tuple[str, ...]:
    until = "" if each.until is None else f"{each.until:%Y-%m-%d %H:%M:%S} UTC"
    since = ago(each.since, now)
    return each.name, each.service, each.rule, WHY.get(each.kind, each.kind), since, until
