"""Where drafts of rules and playbooks go: two new files in a folder of the project."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer
from pydantic import TypeAdapter, ValidationError

from engine.cli.output import complain, say
from engine.core.documents import Id
from engine.errors import ConfigError
from engine.settings import Settings

if TYPE_CHECKING:
    from engine.app import Draft


def folder_for(settings: Settings, what: Literal["rules", "playbooks"]) -> Path:
    """Where the project's rules or playbooks are, made if need be.

    The other folder is made, too: one that is named and isn't there is a mistake of the project,
    of which nothing can be drafted. Raises ConfigError where nothing says where `what` are.
    """
    named = {"rules": settings.rules_dir, "playbooks": settings.playbooks_dir}
    for name, each in named.items():
        if each is not None:
            _make(each, name)
    folder = named[what]
    if folder is None:
        raise ConfigError(
            f"nothing says where your {what} are; write `{what}_dir: {what}` into quell.yaml, name "
            f"the folder with --{what}, or print the draft with --print"
        )
    return folder


def _make(folder: Path, what: str) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{str(folder)!r} is no folder; name the one of your {what}: --{what}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} can't be made: {error.strerror}") from None


def checked_id(given: str) -> str:
    """The id. Raises typer.BadParameter where it is none."""
    try:
        return TypeAdapter(Id).validate_python(given)
    except ValidationError:
        raise typer.BadParameter(
            f"{given!r} is no id: lower case letters, digits and `-`, at most 63"
        ) from None


def tell(draft: "Draft") -> None:
    """Print both files."""
    say(f"# {draft.id}.yaml\n{draft.text}\n# {draft.id}.test.yaml\n{draft.test}".rstrip())
    _warn(draft)


def write(draft: "Draft", folder: Path, options: dict[str, Path | None]) -> None:
    """Write both files, and say how to go on with these options of the verb.

    Raises ConfigError where one is there already, or can't be written.
    """
    texts = {
        folder / f"{draft.id}.yaml": draft.text,
        folder / f"{draft.id}.test.yaml": draft.test,
    }
    for path in texts:
        if path.exists():
            raise ConfigError(f"{path} is there already; choose another id")
    for path, text in texts.items():
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise ConfigError(f"{path} can't be written: {error.strerror}") from None
        say(f"wrote {path}")
    if draft.note:
        say(draft.note)
    given = [word for name, path in options.items() if path for word in (name, str(path))]
    command = shlex.join(["quell", "test", str(path), *given])
    say(f"now write a `description`; then: {command}")
    _warn(draft)


def _warn(draft: "Draft") -> None:
    """Of mistakes in other files, without which the project isn't right."""
    if draft.mistakes:
        complain("the draft is right, and other files of the project have mistakes:")
        for each in draft.mistakes:
            complain(each.told)
