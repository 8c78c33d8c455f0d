"""`quell test`: the tests beside rules and playbooks, played in time that goes by script."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.options import Config, Inventory, Json, Playbooks, Rules, project_settings
from engine.cli.output import print_json, say
from engine.core.rehearsal_coverage import Covered, as_json, covered, percent
from engine.settings import load_settings

if TYPE_CHECKING:
    from engine.app import Played


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("test")(test)


def test(  # noqa: PLR0913 - one argument an option
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATHS]", help="Test files, or folders with them; default: all."),
    ] = None,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Tell what no test reaches, and how much is reached.")
    ] = False,
    fail_under: Annotated[
        float | None,
        typer.Option(
            "--fail-under",
            metavar="PERCENT",
            min=0.0,
            max=100.0,
            help="The exit code is 1 where less is reached; tells the coverage too.",
        ),
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
    from engine.app import coverage_goals, play_tests

    given = project_settings(rules, playbooks, inventory)
    loaded = load_settings(config, given)
    for path in paths or ():
        if not path.exists():
            raise typer.BadParameter(f"there is no file or folder {str(path)!r}")
    played = asyncio.run(play_tests(loaded, paths or ()))
    parts: Sequence[Covered] | None = None
    if coverage or fail_under is not None:
        reached = frozenset(goal for each in played for goal in each.reached)
        parts = covered(coverage_goals(loaded, paths or ()), reached)
    if json:
        tests = [_plain(each) for each in played]
        print_json(tests if parts is None else {"tests": tests, "coverage": as_json(parts)})
    else:
        _tell(played)
        if parts is not None:
            _tell_coverage(parts)
    too_little = parts is not None and percent(parts) < (fail_under or 0.0)
    if too_little and not json:
        say(f"at least {fail_under:g} % is asked for", style="bold red")
    return 1 if too_little or any(each.findings for each in played) else 0


def _plain(played: "Played") -> dict[str, object]:
    return {
        "file": played.file,
        "test": played.name,
        "passed": not played.findings,
        "findings": [
            {"line": each.line, "column": each.column, "message": each.message}
            for each in played.findings
        ],
    }


def _tell(played: Sequence["Played"]) -> None:
    failed = [each for each in played if each.findings]
    for each in failed:
        say(f"{each.name}", style="bold red")
        for finding in each.findings:
            say(f"  {finding}")
    if not played:
        say("there is no test; write one into a file that ends in .test.yaml", style="yellow")
        return
    style = "bold red" if failed else "green"
    say(f"{len(played) - len(failed)} of {len(played)} tests are as expected", style=style)


def _tell_coverage(parts: Sequence[Covered]) -> None:
    for part in parts:
        goals = len(part.reached) + len(part.missing)
        style = "" if part.missing else "green"
        say(f"{part.kind} {part.owner}: {len(part.reached)} of {goals} reached", style=style)
        for missing in part.missing:
            say(f"  no test reaches  {missing}")
    say(f"coverage: {percent(parts):.1f} %", style="bold")
