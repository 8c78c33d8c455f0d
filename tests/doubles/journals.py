"""Journals with checkpoints, sealed as the store seals them, and keys without cryptography."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from engine.core import events
from engine.core.audit_export import end_line, entry_line, format_line, head_line
from engine.core.checkpoint import (
    CHAIN,
    SignatureCheck,
    checkpoint_of,
    next_checkpoint,
    statement_of,
    with_signature,
)
from engine.core.journal import GENESIS, Entry, NewEntry, seal

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class KeyDouble:
    """Signs by hashing; `key_id` names it."""

    key_id: str = "a-key"

    def sign(self, statement: bytes) -> bytes:
        return hashlib.sha256(self.key_id.encode() + statement).digest()


def knowing(*keys: KeyDouble) -> SignatureCheck:
    """The check of a verifier who holds these keys."""
    by_id = {key.key_id: key for key in keys}

    def check(
        key_id: str, statement: bytes, signature: bytes
    ) -> Literal["valid", "wrong", "unknown_key"]:
        if key_id not in by_id:
            return "unknown_key"
        return "valid" if by_id[key_id].sign(statement) == signature else "wrong"

    return check


@dataclass
class JournalDouble:
    """Chains by name."""

    chains: dict[str, list[Entry]] = field(default_factory=dict)
    checkpointed: dict[str, int] = field(default_factory=dict)

    def append(self, chain: str, *new: events.Event) -> None:
        entries = self.chains.setdefault(chain, [])
        for event in new:
            prev_hash = entries[-1].entry_hash if entries else GENESIS
            seq = len(entries) + 1
            salt = hashlib.sha256(f"{chain} {seq}".encode()).digest()[:16]
            at = AT + timedelta(seconds=seq)
            entries.append(seal(NewEntry(event, at, "engine", "v1"), chain, seq, prev_hash, salt))

    def notes(self, chain: str, *texts: str) -> None:
        self.append(chain, *(events.IncidentAcknowledged(note=text) for text in texts))

    def checkpoint(self, key: KeyDouble | None = KeyDouble()) -> Entry:
        """Over all that grew, whatever the engine would say of it."""
        own = self.chains.setdefault(CHAIN, [])
        heads = [
            (chain, len(entries), entries[-1].entry_hash)
            for chain, entries in self.chains.items()
            if len(entries) > self.checkpointed.get(chain, 0)
        ]
        earlier = [checkpoint for each in own if (checkpoint := checkpoint_of(each)) is not None]
        made = next_checkpoint(
            earlier[-1] if earlier else None, heads, AT, key.key_id if key else ""
        )
        if key is not None:
            made = with_signature(made, key.sign(statement_of(made)))
        self.append(CHAIN, made)
        self.checkpointed.update({chain: len(entries) for chain, entries in self.chains.items()})
        return own[-1]

    def copy(self) -> "JournalDouble":
        return JournalDouble(
            {chain: list(entries) for chain, entries in self.chains.items()},
            dict(self.checkpointed),
        )

    def checkpoints(self) -> list[Entry]:
        kind = events.CheckpointSigned.KIND
        return [entry for entry in self.chains.get(CHAIN, []) if entry.kind == kind]

    def resealed(self, chain: str, at: int, event: events.Event) -> None:
        """What a forger does who holds the database: entry `at` and all after it written anew."""
        entries = self.chains[chain]
        after = entries[at:]
        del entries[at - 1 :]
        self.append(chain, event)
        for entry in after:
            kept = entry.event()
            assert kept is not None
            self.append(chain, kept)

    def edited(self, chain: str, at: int, **changes: object) -> None:
        entries = self.chains[chain]
        entries[at - 1] = replace(entries[at - 1], **changes)  # type: ignore[arg-type]

    def export(self) -> list[bytes]:
        names = sorted(self.chains, key=lambda chain: (chain != CHAIN, chain))
        return exported([(chain, self.chains[chain]) for chain in names])


def exported(chains: Iterable[tuple[str, Sequence[Entry]]]) -> list[bytes]:
    """The lines of an export of these chains, in this order."""
    lines, count, total = [format_line()], 0, 0
    for chain, entries in chains:
        head = (entries[-1].seq, entries[-1].entry_hash) if entries else (0, GENESIS)
        lines += [head_line(chain, *head), *map(entry_line, entries)]
        count, total = count + 1, total + len(entries)
    return [*lines, end_line(count, total)]


def a_journal() -> JournalDouble:
    """Two checkpoints, and entries after the second; incident/c came after both."""
    journal = JournalDouble()
    journal.append(CHAIN, events.CatalogActivated(version="v1", files={}))
    journal.notes("incident/a", "one", "zwei — 三", "three")
    journal.notes("incident/b", "one", "two")
    journal.checkpoint()
    journal.notes("incident/a", "four", "five")
    journal.append(CHAIN, events.CatalogActivated(version="v2", files={}))
    journal.checkpoint()
    journal.notes("incident/b", "three")
    journal.notes("incident/c", "one", "two")
    return journal
