"""`quell replay`: what the rules would have made of alerts that came, and of two rule sets."""

import asyncio
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import typer

from engine.cli.options import Config, Inventory, Json, Playbooks, Rules, project_settings
from engine.cli.output import complain, print_json
from engine.cli.replay_page import plain, plain_differences, tell, tell_differences
from engine.core.alert import Alert
from engine.core.durations import parse_duration
from engine.core.replayed import Closing, compared
from engine.settings import LoadedSettings, load_settings

if TYPE_CHECKING:
    from engine.app import AlertLines


File = Annotated[
    Path | None,
    typer.Argument(
        metavar="ALERTS",
        help="A file as `quell normalize` writes it, an alert a line; default: standard input.",
    ),
]
Against = Annotated[
    Path | None,
    typer.Option("--against", metavar="DIR", help="Other rules, to show what they change."),
]
Resolve = Annotated[
    str,
    typer.Option(
        "--resolve",
        metavar="source|'after D'",
        help="When alerts end: as their source says, or also D after their last notice.",
    ),
]
Time = Annotated[
    Literal["received", "source"],
    typer.Option("--time", help="An alert's time: its receipt, or what its source says."),
]
Begin = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="TIME",
        help="Instead of ALERTS: what the stream keeps, received from then on (RFC 3339).",
    ),
]
End = Annotated[
    str | None,
    typer.Option("--to", metavar="TIME", help="The same, received before then."),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", help="The same, of this folder; default: quell.yaml's stream."
    ),
]
Alone = Annotated[
    bool,
    typer.Option(
        "--alone", help="Without the shipped rules: no incident for what yours don't take."
    ),
]
Then = Annotated[
    str,
    typer.Option("--then", metavar="D", help="How long time goes on behind the last alert."),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("replay")(replay)


def replay(  # noqa: PLR0913 - one argument an option
    alerts: File = None,
    rules: Rules = None,
    against: Against = None,
    resolve: Resolve = "source",
    time: Time = "received",
    begin: Begin = None,
    end: End = None,
    data: Folder = None,
    then: Then = "0",
    alone: Alone = False,
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
    from engine.app import at_source_times
    from engine.app import replay as replay_alerts

    closing = _closing(resolve, then)
    sets = [rules] if against is None else [rules, against]
    given = {"data": data} if data is not None else {}
    loaded = [
        load_settings(config, project_settings(each, playbooks, inventory) | given) for each in sets
    ]
    span = (_moment(begin, "--from"), _moment(end, "--to"))
    with _come(alerts, loaded[0], span, of_stream=any((begin, end, data))) as come:
        told = come.alerts if time == "received" else at_source_times(come.alerts)
        if against is not None:
            told = list(told)
        found = [replay_alerts(each, told, closing, alone=alone) for each in loaded]
    if against is not None:
        before, after = found
        differences = compared(before, after)
        if json:
            print_json(plain_differences(before, after, differences, closing) | come.plain())
        else:
            tell_differences(before, after, differences, closing)
    elif json:
        print_json(plain(found[0], closing) | come.plain())
    else:
        tell(found[0], closing)
    return come.tell()


@dataclass(frozen=True, slots=True)
class _Come:
    """The alerts, and what is to be said of where they come from."""

    alerts: Iterable[Alert]
    missing: Sequence[str] = ()
    lines: "AlertLines | None" = None

    def plain(self) -> dict[str, object]:
        """For programs."""
        lines = self.lines
        return {
            "missing": self.missing,
            "problems": lines.problems if lines is not None else [],
            "unread_lines": lines.unread if lines is not None else 0,
        }

    def tell(self) -> int:
        """For people; returns the exit code."""
        for each in self.missing:
            complain(each)
        if self.lines is None or not self.lines.unread:
            return 0
        for problem in self.lines.problems:
            complain(problem)
        if (more := self.lines.unread - len(self.lines.problems)) > 0:
            complain(f"{more} more lines can't be read")
        return 1


@contextmanager
def _come(
    path: Path | None,
    loaded: LoadedSettings,
    span: tuple[datetime | None, datetime | None],
    *,
    of_stream: bool,
) -> Iterator[_Come]:
    from engine.app import AlertLines, stream_history

    if of_stream:
        if path is not None:
            raise typer.BadParameter("give either ALERTS, or --from, --to and --data")
        history = asyncio.run(stream_history(loaded, *span))
        yield _Come(history.alerts, history.missing)
        return
    with _lines(path) as lines:
        read = AlertLines(lines)
        yield _Come(read, lines=read)


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


def _moment(text: str | None, option: str) -> datetime | None:
    """Raises typer.BadParameter. A time without a zone is UTC."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{option} {text!r} is no time; write it like 2026-03-01T12:00:00Z"
        ) from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
