"""`quell schema`: what an editor needs to complete and check quell's files while they are typed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer
from pydantic import BaseModel

from engine.catalog.schemas import schema_of
from engine.cli.output import say
from engine.core.documents import CommandsDocument, InventoryDocument, PlaybookDocument
from engine.core.policy_documents import PolicyDocument
from engine.core.rehearsal_documents import RehearsalsDocument
from engine.core.rule_documents import RulesDocument
from engine.errors import ConfigError
from engine.settings import Settings

Kind = Literal["rules", "playbook", "commands", "inventory", "policy", "tests", "settings"]
MODELS: Mapping[Kind, type[BaseModel]] = {
    "rules": RulesDocument,
    "playbook": PlaybookDocument,
    "commands": CommandsDocument,
    "inventory": InventoryDocument,
    "policy": PolicyDocument,
    "tests": RehearsalsDocument,
    "settings": Settings,
}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("schema")(schema)


def schema(
    kind: Annotated[
        Kind | None, typer.Argument(help="Of which files; without it, all, which needs --into.")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option("--into", metavar="DIR", help="Write KIND.schema.json there."),
    ] = None,
) -> int:
    """Print the JSON Schema of rules, playbooks and the other files, for editors.

    A file names its schema in its first line, for VS Code's YAML extension and others that use
    yaml-language-server: `# yaml-language-server: $schema=schemas/rules.schema.json`, relative to
    the file. Files of an older version of quell are replaced.
    """
    if into is None:
        if kind is None:
            kinds = ", ".join(get_args(Kind))
            raise typer.BadParameter(f"say of which files ({kinds}), or write all with --into DIR")
        typer.echo(_text(kind), nl=False)
        return 0
    for each in MODELS if kind is None else (kind,):
        path = into / f"{each}.schema.json"
        try:
            into.mkdir(parents=True, exist_ok=True)
            path.write_text(_text(each), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path} can't be written: {error.strerror}") from None
        say(f"wrote {path}")
    return 0


def _text(kind: Kind) -> str:
    return json.dumps(schema_of(MODELS[kind], f"quell {kind}"), indent=2, ensure_ascii=False) + "\n"
