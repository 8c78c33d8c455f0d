"""`quell normalize`: what quell understands of a payload, one alert a line."""

import json as json_text
import sys
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import Config, Json
from engine.cli.output import complain, print_json
from engine.errors import PayloadError
from engine.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("normalize")(normalize)


def normalize(
    source: Annotated[
        str, typer.Option("--source", metavar="KIND", help="A source's kind or name.")
    ] = "alertmanager",
    config: Config = None,
    json: Json = False,
) -> int:
    """Show what quell understands of a payload.

    Reads one payload, or one a line, from standard input, and prints its alerts, one a line, as
    the stream would carry them. What can't be understood goes to standard error, and the exit
    code is then 1. With --json it is one document with both.
    """
    from engine.app import normalize_payload

    loaded = load_settings(config, {})
    alerts: list[str] = []
    problems: list[str] = []
    payloads = payloads_of(read_input(None))
    for number, payload in enumerate(payloads, 1):
        try:
            understood, wrong = normalize_payload(loaded, source, payload)
        except PayloadError as error:
            understood, wrong = [], [str(error)]
        alerts += understood
        which = f"payload {number}: " if len(payloads) > 1 else ""
        problems += [f"{which}{each}" for each in wrong]
    if json:
        print_json({"alerts": [json_text.loads(each) for each in alerts], "problems": problems})
    else:
        for alert in alerts:
            typer.echo(alert)
        for problem in problems:
            complain(problem)
    return 1 if problems else 0


def read_input(path: Path | None) -> bytes:
    """What a file holds, or standard input. Raises typer.BadParameter where there is no file."""
    if path is not None:
        if not path.is_file():
            raise typer.BadParameter(f"there is no file {str(path)!r}")
        return path.read_bytes()
    if sys.stdin.isatty():
        complain("reading a payload from the terminal; Ctrl-D ends it")
    return sys.stdin.buffer.read()


def payloads_of(text: bytes) -> list[bytes]:
    """The lines where the first of several is a document already, else the input as one."""
    lines = [each for each in text.splitlines() if each.strip()]
    try:
        json_text.loads(lines[0] if len(lines) > 1 else b"")
    except ValueError:
        return [text]
    return lines
