"""`quell silence`: alerts that shall open nothing for some time."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.options import DATA, Data, Json, Reason
from engine.cli.output import Column, current_time, print_json, print_table, say
from engine.cli.site import reach
from engine.core.durations import parse_duration
from engine.ports.api import SilenceAnswer, SilenceOrder

if TYPE_CHECKING:
    from engine.cli.local_site import LocalSite
    from engine.client.http import QuellClient

verbs = typer.Typer(
    help="Alerts that open nothing for some time: add, list, end, import.", no_args_is_help=True
)

COLUMNS = (
    Column("id"),
    Column("matchers", narrowest=20),
    Column("from"),
    Column("until"),
    Column("by"),
    Column("comment", narrowest=12),
)
_SHORT = 8


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(verbs, name="silence")


@verbs.command("add")
def add(
    matchers: Annotated[
        list[str],
        typer.Argument(metavar="MATCHER...", help="All must hold: alertname=X, region=~'eu-.+'."),
    ],
    for_: Annotated[str, typer.Option("--for", metavar="DURATION", help="How long: 30m, 2h, 1d.")],
    comment: Annotated[
        str, typer.Option("--comment", metavar="TEXT", help="Why; kept in the journal.")
    ],
    begins: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"], help="In UTC."),
    ] = None,
    data: Data = DATA,
    json: Json = False,
) -> int:
    """Silence what all matchers hold for.

    Such an alert opens no incident, tells nobody and starts nothing. What still fires when the
    silence ends is decided then.
    """
    starts_at = None if begins is None else begins.replace(tzinfo=UTC)
    order = SilenceOrder(
        matchers=tuple(matchers),
        starts_at=starts_at,
        ends_at=(starts_at or current_time()) + _span(for_),
        comment=comment,
    )
    with reach(data) as site:
        answer = site.silence(order)
    if json:
        print_json(answer)
    else:
        say(f"silence {answer.id[:_SHORT]} until {_time(answer.ends_at)}", style="yellow")
    return 0


@verbs.command("list")
def listing(data: Data = DATA, json: Json = False) -> int:
    """List the silences that haven't ended; those of the policy recur and aren't here."""
    with reach(data) as site:
        answer = site.silences()
    if json:
        print_json(answer)
    elif not answer.silences:
        say("nothing is silenced")
    else:
        print_table(COLUMNS, map(_row, answer.silences))
    return 0


@verbs.command("end")
def end(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Of a silence, or how it begins.")],
    reason: Reason = "",
    data: Data = DATA,
    json: Json = False,
) -> int:
    """End a silence before its time; what still fires under it is decided now."""
    with reach(data) as site:
        answer = site.end_silence(id_, reason=reason)
    if json:
        print_json(answer)
    else:
        say(f"silence {answer.id[:_SHORT]} ended", style="green")
    return 0


@verbs.command("import")
def import_(
    address: Annotated[str, typer.Argument(metavar="URL", help="http://alertmanager:9093")],
    data: Data = DATA,
    json: Json = False,
) -> int:
    """Take over the silences of an Alertmanager, once: those in force there, and those to come.

    Importing again takes over what changed there, and ends what ended there.
    """
    from engine.client.alertmanager_silences import origin_of, read_silences

    orders = read_silences(address)
    with reach(data) as site:
        known = {each.origin: each for each in site.silences().silences}
        taken = [site.silence(order) for order in orders]
        there = {each.origin for each in taken}
        gone = [
            each
            for origin, each in known.items()
            if origin.startswith(origin_of(address)) and origin not in there
        ]
        _end_all(site, gone)
    if json:
        print_json({"imported": [each.id for each in taken], "ended": [each.id for each in gone]})
    else:
        say(f"{len(taken)} imported, {len(gone)} ended", style="green")
    return 0


def _end_all(site: "QuellClient | LocalSite", gone: list[SilenceAnswer]) -> None:
    for each in gone:
        site.end_silence(each.id, reason="it ended where it was imported from")


def _span(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from None


def _row(silence: SilenceAnswer) -> tuple[str, ...]:
    begins, ends = _time(silence.starts_at), _time(silence.ends_at)
    matchers = ", ".join(silence.matchers)
    return silence.id[:_SHORT], matchers, begins, ends, silence.actor, silence.comment


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
