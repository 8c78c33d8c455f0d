"""`quell check`: every mistake of settings, rules, playbooks, commands, inventory and policy."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from engine.catalog import shipped_folder
from engine.cli.options import Config, Inventory, Json, Playbooks, Rules, project_settings
from engine.cli.output import print_json, say
from engine.core.catalog import Catalog
from engine.core.findings import Finding
from engine.core.masking import UNMASKED
from engine.errors import ConfigError
from engine.ports.known_secrets import KNOWN
from engine.settings import DEFAULT_FILE, Settings, load_settings

PARTS = ("rules", "playbooks", "commands.yaml", "inventory.yaml", "policy.yaml")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("check")(check)


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH", help="Folders, files; default: quell.yaml's, and the shipped."
        ),
    ] = None,
    rules: Rules = None,
    playbooks: Playbooks = None,
    inventory: Inventory = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Find all mistakes at once, as file:line:column.

    A project's folder may hold quell.yaml, rules/, playbooks/, commands.yaml, inventory.yaml and
    policy.yaml. Findings are the verb's result: they go to standard output, and the exit code is
    then 1. Rules that do something else than they say (no alert can reach them, `auto` that
    is never more than `approve`, a slip in `group_by`) are warnings, which leave it as it is.
    """
    given = project_settings(rules, playbooks, inventory)
    from engine.app import check_project

    paths = paths or []
    try:
        loaded = load_settings(config or _settings_in(paths), given)
        checked = check_project(loaded, paths)
    except ConfigError as error:
        findings = [each for each in error.findings if isinstance(each, Finding)]
        if not findings:
            raise
        _tell(findings, json=json)
        return 1
    if json:
        print_json([_plain(each, "warning") for each in checked.warnings])
    else:
        for warning in checked.warnings:
            say(f"{warning}", style="yellow")
        say(_praise(checked.catalog), style="green")
        for name in KNOWN.masker.unmasked:
            say(f"{name} is {UNMASKED}", style="yellow")
        unread = [] if paths else _unread(loaded.settings)
        if unread:
            say(f"not read: {', '.join(unread)}; `quell check .` reads this folder", style="yellow")
    return 0


def _settings_in(paths: list[Path]) -> Path | None:
    """The quell.yaml of a project's folder; None: the one of the working folder, if any."""
    found = [path / DEFAULT_FILE for path in paths if (path / DEFAULT_FILE).is_file()]
    return found[0] if found else None


def _unread(settings: Settings) -> list[str]:
    """What looks like a project's part in the working folder, and is named nowhere."""
    named = (
        settings.rules_dir,
        settings.playbooks_dir,
        settings.commands,
        settings.inventory,
        settings.policy,
        *(shipped_folder() / part for part in PARTS),
    )
    read = {path.resolve() for path in named if path is not None}
    return [part for part in PARTS if Path(part).exists() and Path(part).resolve() not in read]


def _tell(findings: list[Finding], *, json: bool) -> None:
    if json:
        print_json([_plain(each, "mistake") for each in findings])
        return
    for finding in findings:
        say(finding.told)
    files = len({finding.file for finding in findings})
    say(f"{_many(len(findings), 'mistake')} in {_many(files, 'file')}", style="bold red")


def _plain(found: Finding, level: Literal["mistake", "warning"]) -> dict[str, object]:
    return {
        "level": level,
        "file": found.file,
        "line": found.line,
        "column": found.column,
        "message": found.message,
        "reference": found.reference,
    }


def _praise(catalog: Catalog) -> str:
    counted = (
        _many(len(catalog.rules), "rule"),
        _many(len(catalog.playbooks), "playbook"),
        _many(len(catalog.estate.commands), "command"),
        _many(len(catalog.inventory.targets), "target"),
    )
    return f"no mistakes in {', '.join(counted[:-1])} and {counted[-1]}"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
