"""Postmortems as files: each is there whole, or not at all."""

import os
from pathlib import Path

from engine.errors import TransientError


def keep_postmortem(folder: Path, name: str, text: str) -> str:
    """Write or replace a postmortem durably, and return its path. Raises TransientError."""
    path, draft = folder / f"{name}.md", folder / f".{name}.new"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with draft.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise TransientError(f"{str(path)!r} can't be written: {error.strerror}") from None
    return str(path)
