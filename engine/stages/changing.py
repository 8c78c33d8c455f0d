"""Keeps what others say that they changed, for runs that would change the same."""

from dataclasses import dataclass

from engine.core import events
from engine.core.access import may_order
from engine.core.findings import nearest
from engine.core.inventory import Inventory
from engine.core.journal import NewEntry
from engine.core.recent_changes import OutsideChange, rows_of
from engine.errors import NotFoundError
from engine.ports.catalogs import ActiveCatalog
from engine.ports.commands import By
from engine.ports.store import Store, Tx


@dataclass(frozen=True, slots=True)
class ChangeStage:
    """The Changes port over the store."""

    store: Store
    catalogs: ActiveCatalog

    async def tell_change(
        self, change: OutsideChange, *, by: By, reason: str = ""
    ) -> OutsideChange:
        """See Changes."""
        may_order(by.actor, by.roles).demand()
        catalog = self.catalogs.active
        known = _known(change, catalog.inventory)

        def work(tx: Tx) -> None:
            tx.reserve(rows_of(known, catalog.inventory, actor=by.actor, at=tx.now))
            told = events.ChangeTold(
                what=known.what,
                targets=known.targets,
                services=known.services,
                reason=reason,
                via=by.via,
            )
            tx.append("access", [NewEntry(told, tx.now, by.actor, catalog.version)])

        await self.store.write(work)
        return known


def _known(change: OutsideChange, inventory: Inventory) -> OutsideChange:
    """The same by ids, each once: a misspelt name would let a run change what was meant."""
    ids: dict[str, None] = {}
    for name in change.targets:
        target = inventory.target_id(name)
        if not target:
            told = nearest(name, inventory.aliases)
            raise NotFoundError(f"the inventory has no target {name!r}{told}")
        ids[target] = None
    for name in change.services:
        if name not in inventory.services:
            told = nearest(name, inventory.services)
            raise NotFoundError(f"the inventory has no service {name!r}{told}")
    return OutsideChange(change.what, tuple(ids), tuple(dict.fromkeys(change.services)))
