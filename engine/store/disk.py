"""Room on the disk that holds quell's files: senders are refused before there is none at all."""

import os
from pathlib import Path

from engine.errors import TransientError
from engine.store.faults import unreachable

# Alerts stop here, so that what is under way (outcomes of steps, decisions on what was taken)
# still finds room for a while. A checkpoint of a write-ahead log takes about half of it.
KEPT_FREE_BYTES = 8 * 1024 * 1024


def require_free(path: Path, size: int) -> None:
    """Raise TransientError where `size` bytes more would leave too little on the disk of `path`."""
    try:
        found = os.statvfs(path)
    except OSError as error:
        raise unreachable(error) from None
    free = found.f_bavail * found.f_frsize
    if free < size + KEPT_FREE_BYTES:
        raise TransientError(
            f"the disk of {str(path)!r} is full: {free} bytes are left, and {KEPT_FREE_BYTES} are "
            "kept for what is under way; free some"
        )


def is_full(path: Path) -> bool:
    """Whether so little is left that nothing new should begin."""
    try:
        require_free(path, 0)
    except TransientError:
        return True
    return False
