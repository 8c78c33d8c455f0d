"""`quell replay`: what the rules would have made of alerts that came, and of two rule sets."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import typer

from engine.cli.options import Config, Inventory, Json, Playbooks, Rules, project_settings
from engine.cli.output import complain, print_json
from engine.cli.replay_page import plain, plain_differences, tell, tell_differences
from engine.core.durations import parse_duration
from engine.core.replayed import Closing, compared
from engine.settings import load_settings

if TYPE_CHECKING:
    from engine.app import AlertLines


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("replay")(replay)


def replay(  # noqa: PLR0913 - one argument an option
    alerts: Annotated[
        Path | None,
        typer.Argument(
            metavar="ALERTS",
            help="A file as `quell normalize` writes it, an alert a line; default: standard input.",
        ),
    ] = None,
    rules: Rules = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="DIR", help="Other rules, to show what they change."),
    ] = None,
    resolve: Annotated[
        str,
        typer.Option(
            "--resolve",
            metavar="source|'after D'",
            help="When alerts end: as their source says, or also D after their last notice.",
        ),
    ] = "source",
    time: Annotated[
        Literal["received", "source"],
        typer.Option("--time", help="An alert's time: its receipt, or what its source says."),
    ] = "received",
    then: Annotated[
        str,
        typer.Option("--then", metavar="D", help="How long time goes on behind the last alert."),
    ] = "0",
    playbooks: Playbooks = None,
    inventory: Inventory = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Show what the rules would have made of alerts that came.

    The alerts go through the engine's own decisions in the time that they tell, as fast as that
    goes: incidents with their runs, what became of each alert, and what no rule took. With
    --against, what other rules would do differently. Nothing is asked, sent or done. The exit code
    is 1 where a line isn't an alert.
    """
    from engine.app import AlertLines, at_source_times
    from engine.app import replay as replay_alerts

    closing = _closing(resolve, then)
    sets = [rules] if against is None else [rules, against]
    loaded = [load_settings(config, project_settings(s, playbooks, inventory)) for s in sets]
    with _lines(alerts) as lines:
        read = AlertLines(lines)
        come = at_source_times(read) if time == "source" else read
        if against is not None:
            come = list(come)
        found = [replay_alerts(each, come, closing) for each in loaded]
    if against is not None:
        before, after = found
        differences = compared(before, after)
        if json:
            print_json(plain_differences(before, after, differences, closing) | _problems(read))
        else:
            tell_differences(before, after, differences, closing)
    elif json:
        print_json(plain(found[0], closing) | _problems(read))
    else:
        tell(found[0], closing)
    for problem in read.problems:
        complain(problem)
    if read.unread > len(read.problems):
        complain(f"{read.unread - len(read.problems)} more lines can't be read")
    return 1 if read.unread else 0


def _problems(read: "AlertLines") -> dict[str, object]:
    return {"problems": read.problems, "unread_lines": read.unread}


def _closing(resolve: str, then: str) -> Closing:
    """Raises typer.BadParameter."""
    word, _, span = resolve.partition(" ")
    try:
        if resolve == "source":
            return Closing(None, parse_duration(then))
        if word == "after":
            return Closing(parse_duration(span.strip()), parse_duration(then))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    raise typer.BadParameter(f"--resolve {resolve!r}: write source, or 'after 10m'")


def _lines(path: Path | None) -> BinaryIO:
    if path is None:
        if sys.stdin.isatty():
            complain("reading alerts from the terminal; Ctrl-D ends it")
        return sys.stdin.buffer
    if not path.is_file():
        raise typer.BadParameter(f"there is no file {str(path)!r}")
    return path.open("rb")
