"""Which catalog decides: the active one in this process, and what the journal says of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.catalog import context_of, parse_playbook
from engine.core import events
from engine.core.actions import Declaration
from engine.core.catalog import Catalog
from engine.core.journal import NewEntry
from engine.core.playbook import Playbook
from engine.errors import PermanentError
from engine.ports.accepted_modes import take_modes
from engine.ports.store import Tx
from engine.stages.deciding import expect_heartbeats


@dataclass(slots=True)
class Catalogs:
    """The active catalog; a broken set of files never replaces it."""

    active: Catalog
    declarations: Mapping[str, Declaration]

    def parse_playbook(self, text: bytes, called: Mapping[str, bytes]) -> Playbook:
        """A playbook from the exact texts that a run started with."""
        return parse_playbook(text, called, context_of(self.active, self.declarations))


def activate(tx: Tx, catalog: Catalog, actor: str) -> Catalog:
    """Keep every text, and journal which version decides from here on, and who activated it.

    The catalog as far as it may go: what it raises may wait for a second person.
    """
    for sha256, text in catalog.texts.items():
        tx.put_text(sha256, text)
    if activated(tx) != catalog.version:
        event = events.CatalogActivated(version=catalog.version, files=catalog.files)
        tx.append("system", [NewEntry(event, tx.now, actor, catalog.version)])
    active = take_modes(tx, catalog, actor)
    expect_heartbeats(tx, active)
    return active


def activated(tx: Tx) -> str:
    """The catalog version that was activated last, "" before the first."""
    event = _last_activation(tx)
    return "" if event is None else event.version


def activated_texts(tx: Tx) -> Mapping[str, bytes]:
    """The texts of that version, by name; none before the first.

    Raises PermanentError where one is lost.
    """
    event = _last_activation(tx)
    found = {}
    for name, sha256 in ({} if event is None else event.files).items():
        text = tx.text(sha256)
        if text is None:
            raise PermanentError(f"the text {sha256!r} of {name} is lost")
        found[name] = text
    return found


def _last_activation(tx: Tx) -> events.CatalogActivated | None:
    entry = tx.last_entry("system", events.CatalogActivated.KIND)
    event = None if entry is None else entry.event()
    return event if isinstance(event, events.CatalogActivated) else None
