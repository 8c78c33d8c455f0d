"""What fires and so explains why another alert does, in one transaction."""

from collections.abc import Callable, Sequence

from engine.core.alert import Occurrence
from engine.ports.store import Tx


def firing_cause(
    tx: Tx, keys: Sequence[str], latest: Callable[[str], Occurrence | None], but: str = ""
) -> tuple[str, Occurrence] | None:
    """The first of these keys under which an occurrence that really fires holds back, and that.

    `latest` gives the occurrence of a fingerprint; that of `but` explains nothing.
    """
    while (found := tx.conditions.inhibiting(keys, but=but)) is not None:
        key, fingerprint = found
        occurrence = latest(fingerprint)
        if occurrence is not None and occurrence.is_open:
            return key, occurrence
        # A replica of an older release ended it, and knows nothing of this row.
        tx.conditions.stop_inhibiting(fingerprint)
    return None
