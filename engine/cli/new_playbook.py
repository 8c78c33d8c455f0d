"""`quell new playbook`: a playbook and its tests, which it passes as it is written."""

from typing import Annotated

import typer

from engine.cli import drafted
from engine.cli.options import Config, Inventory, Playbooks
from engine.settings import load_settings


def playbook(
    playbook_id: Annotated[str, typer.Argument(metavar="ID", help="As restart-gateway.")],
    uses: Annotated[
        list[str] | None,
        typer.Option(
            "--uses", metavar="ACTION", help="An action of a step, as llm.complete; repeatable."
        ),
    ] = None,
    print_: Annotated[
        bool, typer.Option("--print", help="Print both files instead of writing them.")
    ] = False,
    playbooks: Playbooks = None,
    inventory: Inventory = None,
    config: Config = None,
) -> int:
    """Write a playbook and its tests; both hold as they are.

    ID.yaml and ID.test.yaml go into the project's folder of playbooks; a file that is there is
    never overwritten. Each action that may change something becomes a step, each that only reads
    a proof in `verify`; what its inputs need becomes parameters of their types. Where there is
    none of a part, ssh.run changes and ssh.read proves.
    """
    from engine.app import draft_playbook

    given: dict[str, object] = {"playbooks_dir": playbooks, "inventory": inventory}
    loaded = load_settings(config, given)
    checked = drafted.checked_id(playbook_id)
    # First, because a folder of the settings that isn't there is a mistake of the project.
    folder = None if print_ else drafted.folder_for(loaded.settings, "playbooks")
    draft = draft_playbook(loaded, checked, uses or ())
    if folder is None:
        drafted.tell(draft)
    else:
        options = {"--playbooks": playbooks, "--inventory": inventory, "--config": config}
        drafted.write(draft, folder, options)
    return 0
