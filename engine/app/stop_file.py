"""The file STOP in the data folder: a kill switch for who has no other way."""

import contextlib
from pathlib import Path

from engine.errors import ConfigError
from engine.store.directory import DataDirectory

# Of the reason in a stop file: a line for people.
STOP_REASON_BYTES = 500


def stop_file_of(path: Path) -> str:
    """Where the file is that keeps everything stopped, "" while there is none."""
    return str(path) if path.exists() else ""


def reason_in(path: Path) -> str:
    """The first line of that file, or that it is there; "" while there is none."""
    if not path.exists():
        return ""
    words = ""
    # Whatever else has that name stops as well, but isn't read: a pipe would keep the reader.
    if path.is_file():
        with contextlib.suppress(OSError), path.open("rb") as file:
            words = file.readline(STOP_REASON_BYTES).decode(errors="replace").strip()
    return words or f"the file {path.name} is in the data folder"


def remove_stop_file(data: Path) -> bool:
    """Remove it from a data folder; False when there is none. Raises ConfigError."""
    path = DataDirectory(data).stop_path
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ConfigError(
            f"{str(path)!r} keeps everything stopped and can't be removed ({error.strerror}): "
            "remove it by hand, then resume"
        ) from None
    return True
