"""The locks as people see them: which targets are held, and whether their runs still go on."""

from collections.abc import Sequence

from engine.core.guards import Lock
from engine.ports.store import Tx


def all_locks(tx: Tx) -> Sequence[Lock]:
    """Every target that is locked now, oldest first."""
    found = []
    for held in tx.held():
        run = tx.run(held.run_id)
        if held.target:
            found.append(Lock(held, kept=run is None or run.ended_at is not None))
    return found
