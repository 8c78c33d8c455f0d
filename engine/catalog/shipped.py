"""Where the rules and playbooks are that come with quell: in the wheel, or beside a checkout."""

from pathlib import Path

import engine
from engine.errors import ConfigError


def shipped_folder() -> Path:
    """The folder that holds `rules` and `playbooks`; raises ConfigError when neither is there."""
    package = Path(engine.__file__).parent
    for folder in (package / "shipped", package.parent):
        if (folder / "rules").is_dir() and (folder / "playbooks").is_dir():
            return folder
    raise ConfigError(f"{package} ships no rules and playbooks; install quell again")
