"""`quell test`: the tests beside rules and playbooks, played in time that goes by script."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import Config, Inventory, Json, Playbooks, Rules, project_settings
from engine.cli.output import print_json, say
from engine.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("test")(test)


def test(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATHS]", help="Test files, or folders with them; default: all."),
    ] = None,
    rules: Rules = None,
    playbooks: Playbooks = None,
    inventory: Inventory = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Play the tests beside rules and playbooks.

    The real rules, runs and guards, in time that goes by script; calls give what a test says, and
    nothing is reached. Without PATHS it plays the project's own tests, or the shipped ones where
    the project has none. The exit code is 1 where one isn't as expected.
    """
    from engine.app import play_tests

    given = project_settings(rules, playbooks, inventory)
    loaded = load_settings(config, given)
    for path in paths or ():
        if not path.exists():
            raise typer.BadParameter(f"there is no file or folder {str(path)!r}")
    played = asyncio.run(play_tests(loaded, paths or ()))
    failed = [each for each in played if each.findings]
    if json:
        print_json(
            [
                {
                    "file": each.file,
                    "test": each.name,
                    "passed": not each.findings,
                    "findings": [
                        {"line": f.line, "column": f.column, "message": f.message}
                        for f in each.findings
                    ],
                }
                for each in played
            ]
        )
        return 1 if failed else 0
    for each in failed:
        say(f"{each.name}", style="bold red")
        for finding in each.findings:
            say(f"  {finding}")
    if not played:
        say("there is no test; write one into a file that ends in .test.yaml", style="yellow")
        return 0
    style = "bold red" if failed else "green"
    say(f"{len(played) - len(failed)} of {len(played)} tests are as expected", style=style)
    return 1 if failed else 0
