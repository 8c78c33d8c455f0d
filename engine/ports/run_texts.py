"""The playbook of a run, with exactly the texts that it started with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from engine.core.playbook import Playbook
from engine.core.run import RunState
from engine.errors import PermanentError
from engine.ports.catalogs import ActiveCatalog
from engine.ports.store import Store, Tx

# By the hashes of their texts.
OldPlaybooks: TypeAlias = dict[tuple[str, ...], Playbook]
# Texts of runs that began before the active ones; one that was dropped is read again.
MAX_OLD_PLAYBOOKS = 64


@dataclass(frozen=True, slots=True)
class RunTexts:
    """Finds them in the active catalog, or among the texts that the store keeps.

    `known` are those that were read before.
    """

    store: Store
    catalogs: ActiveCatalog
    known: OldPlaybooks

    async def playbook_of(self, state: RunState) -> Playbook:
        """Raises PermanentError where a text is lost, ConfigError where it no longer loads."""
        active = self.catalogs.active.playbooks.get(state.playbook_id)
        if (
            active is not None
            and active.text_hash == state.playbook_hash
            and active.called_texts == state.called
        ):
            return active
        key = (state.playbook_hash, *sorted(state.called.values()))
        found = self.known.get(key)
        if found is None:
            wanted = {state.playbook_id: state.playbook_hash, **state.called}
            texts = await self.store.read(lambda tx: _texts(tx, wanted))
            found = self.catalogs.parse_playbook(texts.pop(state.playbook_id), texts)
            if len(self.known) >= MAX_OLD_PLAYBOOKS:
                self.known.pop(next(iter(self.known)))
            self.known[key] = found
        return found


def _texts(tx: Tx, wanted: Mapping[str, str]) -> dict[str, bytes]:
    found = {}
    for playbook_id, sha256 in wanted.items():
        text = tx.text(sha256)
        if text is None:
            raise PermanentError(f"the text {sha256!r} of playbook {playbook_id!r} is lost")
        found[playbook_id] = text
    return found
