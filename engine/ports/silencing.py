"""Whether all of an incident that fires is silenced, and a silence's end, in one transaction."""

from engine.core.classify import labels_of
from engine.core.incident import Incident
from engine.core.silences import Silence, SilenceBook, Silenced
from engine.ports.store import Tx

# An incident of more alerts than this isn't silent: nobody silences a storm unseen.
LOOKED_AT = 500


def silenced(tx: Tx, incident: Incident) -> Silenced | None:
    """The silence that ends first of those over its alerts; None where one of them has none.

    What a run expects of its own changes keeps nobody from hearing of an incident that is there.
    """
    current = [each for each in tx.silences.current() if not each.is_expected]
    if not current or incident.by_hand or not 0 < incident.open_count <= LOOKED_AT:
        return None
    book = SilenceBook(current)
    found = [
        book.over(labels_of(each.alert), each.alert.target, tx.now)
        for each in tx.open_occurrences(incident.id, LOOKED_AT)
    ]
    over = [each for each in found if each is not None]
    if not over or len(over) < len(found):
        return None
    return min(over, key=lambda each: (each.until is None, each.until))


def shorten(tx: Tx, silence: Silence) -> None:
    """Put one that ends sooner than before, and have what it holds back asked again."""
    tx.silences.put(silence)
    for each in tx.conditions.waiting(silence.id):
        tx.wake_task("tick", f"hold_due/{each.fingerprint}")
