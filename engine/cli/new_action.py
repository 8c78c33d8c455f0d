"""`quell new action`: a package with one action, its test and its entry point."""

from pathlib import Path
from typing import Annotated

import re2
import typer

from engine.catalog.action_drafts import action_package
from engine.cli.output import say
from engine.errors import ConfigError


def action(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="As steps use it, like lab.port_open.")
    ],
    into: Annotated[
        Path | None,
        typer.Option("--into", metavar="DIR", help="A new folder; default: quell-NAME."),
    ] = None,
) -> int:
    """Write a package with an action of your own: one class, its test, its entry point.

    It works as it is, and its test is the suite that quell's own actions pass. Installed beside
    quell, it is found by its entry point; it runs with all of quell's rights.
    """
    if re2.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\.[a-z][a-z0-9]*(_[a-z0-9]+)*", name) is None:
        raise typer.BadParameter(f"{name!r} isn't like lab.port_open: two words, joined by a dot")
    folder = into or Path(f"quell-{name.replace('.', '-').replace('_', '-')}")
    if folder.exists():
        raise ConfigError(f"{folder} is there already; name a new folder with --into")
    try:
        folder.mkdir(parents=True)
        for file, text in action_package(name).items():
            (folder / file).write_text(text, encoding="utf-8")
            say(f"wrote {folder / file}")
    except OSError as error:
        raise ConfigError(f"{folder} can't be written: {error.strerror}") from None
    say(f"next: pip install -e '{folder}[test]' && pytest {folder}; then a step may use {name}")
    return 0
