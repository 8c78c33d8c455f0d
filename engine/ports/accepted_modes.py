"""How far everything may go, and what waits for a second person, in one transaction."""

from engine.core import events
from engine.core.catalog import Catalog
from engine.core.ids import sha256_hex
from engine.core.journal import NewEntry
from engine.core.mode_raises import Modes, held_down, modes_of, raises
from engine.errors import PermanentError
from engine.ports.store import Tx

# An entry of the journal names so many of what was raised.
TOLD_AT_MOST = 100


def accepted_modes(tx: Tx) -> Modes | None:
    """Those in force, None before the first catalog of this release."""
    entry = tx.last_entry("system", events.ModesAccepted.KIND)
    event = None if entry is None else entry.event()
    return _kept(tx, event.modes) if isinstance(event, events.ModesAccepted) else None


def waiting_raise(tx: Tx) -> tuple[events.ModesRaised, str] | None:
    """What waits for a second person, and who activated it; None where nothing does."""
    raised = tx.last_entry("system", events.ModesRaised.KIND)
    accepted = tx.last_entry("system", events.ModesAccepted.KIND)
    if raised is None or (accepted is not None and accepted.seq > raised.seq):
        return None
    event = raised.event()
    return (event, raised.actor) if isinstance(event, events.ModesRaised) else None


def in_force(tx: Tx, catalog: Catalog) -> Catalog:
    """The catalog as far as it may go now."""
    before = accepted_modes(tx)
    found = () if before is None else raises(before, modes_of(catalog))
    return catalog if before is None or not found else held_down(catalog, before, found)


def take_modes(tx: Tx, catalog: Catalog, actor: str) -> Catalog:
    """The catalog that `actor` activates, as far as it may go; a raise is journaled and waits.

    The first catalog is as its files say: there is nothing that it could raise.
    """
    before, after = accepted_modes(tx), modes_of(catalog)
    found = () if before is None else raises(before, after)
    waiting = waiting_raise(tx)
    if before is None or not found:
        # What was raised and is taken back must not be confirmed any more.
        if before != after or waiting is not None:
            accept(tx, events.ModesAccepted(version=catalog.version, modes=_keep(tx, after)), actor)
        return catalog
    if waiting is None or waiting[0].version != catalog.version:
        raised = events.ModesRaised(
            version=catalog.version,
            modes=_keep(tx, after),
            raised=tuple(each.told for each in found[:TOLD_AT_MOST]),
        )
        tx.append("system", [NewEntry(raised, tx.now, actor, catalog.version)])
    return held_down(catalog, before, found)


def accept(tx: Tx, event: events.ModesAccepted, actor: str) -> None:
    """From here everything may go so far."""
    tx.append("system", [NewEntry(event, tx.now, actor, event.version)])


def _keep(tx: Tx, modes: Modes) -> str:
    text = modes.model_dump_json().encode()
    sha256 = sha256_hex(text)
    tx.put_text(sha256, text)
    return sha256


def _kept(tx: Tx, sha256: str) -> Modes:
    text = tx.text(sha256)
    if text is None:
        raise PermanentError(f"the text {sha256!r} of the accepted modes is lost")
    return Modes.model_validate_json(text)
