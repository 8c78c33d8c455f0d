"""Options that several verbs share, spelled once."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path, typer.Option("--data", metavar="DIR", help="The engine's data folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept in the journal.")]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="quell.yaml; default: ./quell.yaml if there."),
]
Rules = Annotated[
    Path | None,
    typer.Option("--rules", metavar="DIR", help="Rules; they come before the shipped ones."),
]
Playbooks = Annotated[
    Path | None,
    typer.Option("--playbooks", metavar="DIR", help="Playbooks and commands.yaml."),
]
Inventory = Annotated[
    Path | None,
    typer.Option("--inventory", metavar="FILE", help="Targets, services and connections."),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        "-p",
        metavar="NAME=VALUE",
        help="A parameter, as in -p host=gpu-07, or -p hosts=gpu-07,gpu-08; repeatable.",
    ),
]
DATA = Path("quell-data")


def stands_alone(context: typer.Context, data: Path, *, json: bool) -> bool:
    """Whether no verb follows these options, so that the usual one is meant.

    Raises typer.BadParameter for options that stand before a verb.
    """
    if context.invoked_subcommand is None:
        return True
    if json or data != DATA:
        raise typer.BadParameter(f"write options behind `{context.invoked_subcommand}`")
    return False


def project_settings(
    rules: Path | None, playbooks: Path | None, inventory: Path | None
) -> dict[str, object]:
    """What these options set in the settings."""
    return {"rules_dir": rules, "playbooks_dir": playbooks, "inventory": inventory}


def parse_parameters(given: list[str] | None) -> dict[str, str]:
    """`NAME=VALUE` pairs. Raises typer.BadParameter."""
    found: dict[str, str] = {}
    for each in given or []:
        name, sign, value = each.partition("=")
        if not sign or not name:
            raise typer.BadParameter(f"{each!r} isn't NAME=VALUE")
        if name in found:
            raise typer.BadParameter(f"{name!r} is given twice")
        found[name] = value
    return found
