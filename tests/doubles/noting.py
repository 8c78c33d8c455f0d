"""A store that notes, of each transaction, what it held until its commit and what it appended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from engine.core.journal import Entry, NewEntry
from engine.core.stops import Stop
from engine.ports.store import Store, Tx

T = TypeVar("T")


@dataclass(frozen=True)
class NotingStore:
    """Over `store`; `seen` are its writing transactions."""

    store: Store
    seen: list["NotingTx"] = field(default_factory=list)

    async def write(self, work: Callable[[Tx], T]) -> T:
        def noted(tx: Tx) -> T:
            noting = NotingTx(tx)
            result = work(cast(Tx, noting))
            self.seen.append(noting)
            return result

        return await self.store.write(noted)

    async def read(self, work: Callable[[Tx], T]) -> T:
        return await self.store.read(work)


class NotingTx:
    """`held_stops`: whether it held them before it appended; `guards` and `kinds` in order."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self.held_stops = False
        self.guards: list[str] = []
        self.kinds: list[str] = []

    def __getattr__(self, name: str) -> object:
        found: object = getattr(self._tx, name)
        return found

    def hold_stops(self) -> Sequence[Stop]:
        self.held_stops = not self.kinds
        return self._tx.hold_stops()

    def hold_guards(self, keys: Sequence[str]) -> None:
        self.guards += keys
        self._tx.hold_guards(keys)

    def append(self, chain: str, entries: Sequence[NewEntry]) -> Sequence[Entry]:
        self.kinds += [each.event.KIND for each in entries]
        return self._tx.append(chain, entries)
