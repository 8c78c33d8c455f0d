"""`quell dead-letters`: what couldn't be understood, and taking it in again."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.options import DATA, Data, Json
from engine.cli.output import Column, ago, current_time, print_json, print_table, say
from engine.cli.site import reach
from engine.client.http import QuellClient
from engine.errors import ConflictError
from engine.ports.api import DeadLetterAnswer, DeadLetterPage, ReplayAnswer

if TYPE_CHECKING:
    from engine.cli.local_site import LocalSite

verbs = typer.Typer(help="What couldn't be understood: list, show, replay.", no_args_is_help=True)

SHOWN_CHARACTERS = 4000
PAGE = 500

COLUMNS = (
    Column("dead letter"),
    Column("seen", right=True),
    Column("times", right=True),
    Column("bytes", right=True),
    Column("replayed", right=True),
    Column("source", narrowest=12),
    Column("field", narrowest=10, optional=True),
    Column("reason", narrowest=20),
)

Id = Annotated[str, typer.Argument(metavar="ID", help="Any unique prefix.")]
Waiting = Annotated[bool, typer.Option("--waiting", help="Only those not replayed yet.")]
Limit = Annotated[
    int, typer.Option("--limit", metavar="N", min=1, max=500, help="At most so many.")
]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(verbs, name="dead-letters")


@verbs.command("list")
def listing(
    data: Data = DATA, json: Json = False, waiting: Waiting = False, limit: Limit = 50
) -> int:
    """List what was kept, last seen first."""
    with reach(data) as site:
        page = site.dead_letters(waiting=waiting, limit=limit)
    if json:
        print_json(page)
        return 0
    if not page.dead_letters:
        say("no dead letters")
        return 0
    now = current_time()
    print_table(COLUMNS, (_row(letter, now) for letter in page.dead_letters))
    if page.next_cursor:
        say(f"the newest {limit}; there are more: --limit", style="dim")
    return 0


def _row(letter: DeadLetterAnswer, now: datetime) -> tuple[str, ...]:
    return (
        letter.id[:12],
        ago(letter.last_at, now),
        str(letter.count),
        str(letter.size),
        ago(letter.replayed_at, now),
        letter.source,
        letter.field,
        letter.reason,
    )


@verbs.command("show")
def show(
    id_: Id,
    data: Data = DATA,
    json: Json = False,
    full: Annotated[
        bool, typer.Option("--full", help=f"More than {SHOWN_CHARACTERS} characters of it.")
    ] = False,
) -> int:
    """Show one with its reason and what it holds.

    What a terminal would obey is spelled out.
    """
    with reach(data) as site:
        letter = site.dead_letter(id_)
    if json:
        print_json(letter)
        return 0
    say(letter.id, style="bold")
    facts = (
        ("source", letter.source),
        ("reason", letter.reason),
        ("field", letter.field),
        ("size", f"{letter.size} bytes"),
        ("first seen", f"{letter.first_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("last seen", f"{letter.last_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("times", str(letter.count)),
        ("replayed", f"{letter.replayed_at:%Y-%m-%d %H:%M:%S} UTC" if letter.replayed_at else ""),
    )
    for name, value in facts:
        if value:
            say(f"  {name:<10}  {value}")
    say("")
    shown = letter.body if full else letter.body[:SHOWN_CHARACTERS]
    say(shown)
    if len(shown) < len(letter.body):
        say(f"… {len(letter.body) - len(shown)} more characters: --full", style="dim")
    elif letter.left_out_bytes:
        say(f"… and {letter.left_out_bytes} more bytes", style="dim")
    return 0


@verbs.command("replay")
def replay(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Any unique prefix.")] = "",
    all_: Annotated[bool, typer.Option("--all", help="All that weren't replayed yet.")] = False,
    data: Data = DATA,
    json: Json = False,
) -> int:
    """Send one, or all, through its source's parser again.

    Alerts keep the time at which they were received. Exit code 1 when one still can't be
    understood: it stays, with the new reason.
    """
    if bool(id_) == all_:
        raise typer.BadParameter("name one dead letter, or say --all")
    with reach(data) as site:
        answers = [site.replay_dead_letter(id_)] if id_ else list(_replay_all(site))
    if json:
        print_json(answers)
    else:
        _tell(answers)
    return 0 if all(each.replayed for each in answers) else 1


def _replay_all(site: "QuellClient | LocalSite") -> Iterator[ReplayAnswer]:
    """Each that waits, oldest page last; one that somebody else replays meanwhile is left out."""
    for letter in list(_waiting(site)):
        try:
            yield site.replay_dead_letter(letter.id)
        except ConflictError:
            continue


def _waiting(site: "QuellClient | LocalSite") -> Iterator[DeadLetterAnswer]:
    cursor: str | None = ""
    while cursor is not None:
        page: DeadLetterPage = site.dead_letters(waiting=True, limit=PAGE, cursor=cursor)
        yield from page.dead_letters
        cursor = page.next_cursor


def _tell(answers: list[ReplayAnswer]) -> None:
    for each in answers:
        style = "green" if each.replayed else "red"
        say(f"{each.dead_letter.id[:12]}  {each.sentence}", style=style)
    taken = sum(each.replayed for each in answers)
    alerts = sum(each.alerts for each in answers)
    if len(answers) != 1:
        say(f"{taken} of {len(answers)} replayed, {alerts} alerts")
