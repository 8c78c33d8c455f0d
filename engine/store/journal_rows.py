"""The journal's rows: entries chained behind locked heads, and the texts they refer to by hash."""

import os
from collections.abc import Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    LargeBinary,
    Select,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError

from engine.core.journal import GENESIS, Entry, NewEntry, seal
from engine.errors import ConflictError
from engine.ports.known_secrets import KNOWN
from engine.store.statements import Spelled, bare_rows, first_row, insert_new, upsert
from engine.store.tables import checkpointed, entries, heads, texts

SALT_BYTES = 16
# What a reader of a whole journal holds in memory at a time, unless one entry is larger.
PAGE_BYTES = 1024 * 1024

_VALUES = attrgetter(*(column.name for column in entries.columns))
_HEAD = select(heads.c.seq, heads.c.entry_hash).where(heads.c.chain == bindparam("chain"))
# Creates the head or finds it, and locks it: the change that changes nothing.
_LOCK_HEAD = upsert(heads, lambda new: {"chain": new.chain}, returning=("seq", "entry_hash"))
_MOVE_HEAD = upsert(heads)
_HEADS = (
    select(heads).where(heads.c.seq > 0, heads.c.chain > bindparam("after")).order_by(heads.c.chain)
)
# One look at every chain a minute costs less than an index that every append has to keep.
_GROWN = (
    select(heads)
    .outerjoin(checkpointed, checkpointed.c.chain == heads.c.chain)
    .where(heads.c.seq > func.coalesce(checkpointed.c.seq, 0))
    .order_by(heads.c.chain)
    .limit(bindparam("at_most"))
)
_MARK = upsert(checkpointed)
_ADD_ENTRIES = Spelled(insert(entries), insert(entries))


_ARRAYS = {Text: "text[]", BigInteger: "bigint[]", LargeBinary: "bytea[]"}


def _unnested(table: Table) -> str:
    """PostgreSQL's insert of rows that come as an array for each column."""
    names = ", ".join(column.name for column in table.columns)
    arrays = (f"CAST(:{table.name}_{c.name} AS {_ARRAYS[type(c.type)]})" for c in table.columns)
    return (
        f"INSERT INTO {table.name} ({names}) SELECT new.* FROM unnest({', '.join(arrays)}) AS new"
    )


# Both in one round trip. Heads come first: who waits for one that is locked has written nothing.
_APPEND = text(
    f"WITH moved AS ({_unnested(heads)} ON CONFLICT (chain) DO UPDATE "
    "SET seq = excluded.seq, entry_hash = excluded.entry_hash RETURNING chain) "
    f"{_unnested(entries)}, (SELECT count(*) FROM moved) AS first"
)
# Columns stand in the order of an Entry's fields.
_ENTRIES = (
    select(entries)
    .where(entries.c.chain == bindparam("chain"), entries.c.seq > bindparam("after_seq"))
    .order_by(entries.c.seq)
)
_SIZES = (
    select(entries.c.seq, func.length(entries.c.body))
    .where(entries.c.chain == bindparam("chain"), entries.c.seq > bindparam("after_seq"))
    .order_by(entries.c.seq)
    .limit(bindparam("at_most"))
)
_WITHIN = _ENTRIES.where(entries.c.seq <= bindparam("last"))
_OF_KIND = entries.c.kind == bindparam("kind")
_SIZES_OF_KIND = _SIZES.where(_OF_KIND)
_WITHIN_OF_KIND = _WITHIN.where(_OF_KIND)
_LAST = (
    select(entries)
    .where(entries.c.chain == bindparam("chain"), entries.c.kind == bindparam("kind"))
    .order_by(entries.c.seq.desc())
    .limit(1)
)
_PUT_TEXT = insert_new(texts)
_TEXT = select(texts.c.body).where(texts.c.sha256 == bindparam("sha256"))


@cache
def _without(kinds: tuple[str, ...]) -> Select[Any]:
    """Built once for each set of kinds that a reader leaves out."""
    return _ENTRIES.where(*(entries.c.kind != kind for kind in kinds))


@cache
def _first_ones(without: tuple[str, ...]) -> Select[Any]:
    return _without(without).limit(bindparam("at_most"))


class ChainMovedError(ConflictError):
    """Another writer appended to one of `chains` meanwhile: lock them first and do it again."""

    def __init__(self, chains: Sequence[str]) -> None:
        super().__init__(f"another writer appended to {' or '.join(chains)} meanwhile; try again")
        self.chains = chains


class JournalRows:
    """Appends seal at once and are written together by `flush`, in one order for all writers.

    A chain's head isn't locked when it is read, because works append in any order and would wait
    for each other in circles. Of two that read the same head, the second finds its sequence
    number taken and is done again.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._heads: dict[str, tuple[int, str]] = {}
        self._unwritten: list[Entry] = []

    def lock(self, chains: Sequence[str]) -> None:
        """Keep other writers from these chains until the commit."""
        for chain in sorted(chains):
            first = {"chain": chain, "seq": 0, "entry_hash": GENESIS}
            row = self._connection.execute(_LOCK_HEAD.on(self._connection), first).one()
            self._heads[chain] = row.seq, row.entry_hash

    def append(self, chain: str, new: Sequence[NewEntry]) -> Sequence[Entry]:
        """The entries, sealed behind the chain's head, without any secret that is known."""
        if not new:
            return ()
        seq, prev_hash = self.head(chain)
        sealed = []
        for each in new:
            salt = os.urandom(SALT_BYTES)
            entry = seal(each, chain, seq + 1, prev_hash, salt, KNOWN.masker)
            seq, prev_hash = entry.seq, entry.entry_hash
            sealed.append(entry)
        self._heads[chain] = seq, prev_hash
        self._unwritten.extend(sealed)
        return sealed

    def entries(
        self,
        chain: str,
        after_seq: int,
        without: Sequence[str] = (),
        limit: int | None = None,
    ) -> Sequence[Entry]:
        """In order."""
        own = [each for each in self._unwritten if each.chain == chain]
        if own and own[0].seq <= after_seq + 1 and limit is None:
            return [e for e in own if e.seq > after_seq and e.kind not in without]
        self.flush()
        asked: dict[str, object] = {"chain": chain, "after_seq": after_seq}
        if limit is None:
            rows = bare_rows(self._connection, _without(tuple(without)), asked)
        else:
            statement = _first_ones(tuple(without))
            rows = bare_rows(self._connection, statement, {**asked, "at_most": limit})
        return [Entry(*row) for row in rows]

    def page(self, chain: str, after_seq: int, kind: str, limit: int) -> Sequence[Entry]:
        """In order: at most `limit` entries and PAGE_BYTES of bodies, but at least one entry."""
        self.flush()
        asked: dict[str, object] = {"chain": chain, "after_seq": after_seq}
        if kind:
            asked["kind"] = kind
        sizes, within = (_SIZES_OF_KIND, _WITHIN_OF_KIND) if kind else (_SIZES, _WITHIN)
        last = read = 0
        for seq, size in bare_rows(self._connection, sizes, {**asked, "at_most": limit}):
            read += size or 0
            if last and read > PAGE_BYTES:
                break
            last = seq
        if not last:
            return ()
        rows = bare_rows(self._connection, within, {**asked, "last": last})
        return [Entry(*row) for row in rows]

    def last_entry(self, chain: str, kind: str) -> Entry | None:
        """The newest of its kind."""
        self.flush()
        row = first_row(self._connection, _LAST, {"chain": chain, "kind": kind})
        return None if row is None else Entry(*row)

    def head(self, chain: str) -> tuple[int, str]:
        """As an append finds it, and should it move meanwhile, the flush finds that out."""
        if chain not in self._heads:
            self._heads[chain] = self._head(chain)
        return self._heads[chain]

    def found(self, chain: str, head: tuple[int, str] | None) -> None:
        """The head of a chain was read with something else; None: it has no entries."""
        self._heads.setdefault(chain, head or (0, GENESIS))

    def heads(self, after: str = "", limit: int | None = None) -> Mapping[str, tuple[int, str]]:
        """Of every chain, by name."""
        self.flush()
        statement = _HEADS if limit is None else _HEADS.limit(limit)
        rows = self._connection.execute(statement, {"after": after})
        return {row.chain: (row.seq, row.entry_hash) for row in rows}

    def grown_chains(self, limit: int) -> Sequence[tuple[str, int, str]]:
        """The heads that no checkpoint names."""
        self.flush()
        rows = self._connection.execute(_GROWN, {"at_most": limit})
        return [(row.chain, row.seq, row.entry_hash) for row in rows]

    def mark_checkpointed(self, reached: Mapping[str, int]) -> None:
        """Each chain up to this entry."""
        if reached:
            rows = [{"chain": chain, "seq": seq} for chain, seq in sorted(reached.items())]
            self._connection.execute(_MARK.on(self._connection), rows)

    def put_text(self, sha256: str, body: bytes) -> None:
        """Kept once."""
        self._connection.execute(_PUT_TEXT.on(self._connection), {"sha256": sha256, "body": body})

    def text(self, sha256: str) -> bytes | None:
        """None when it was never put."""
        row = first_row(self._connection, _TEXT, {"sha256": sha256})
        return None if row is None else row[0]

    def flush(self) -> None:
        """Write what was appended since the last flush. Raises ChainMovedError."""
        if not self._unwritten:
            return
        self._unwritten.sort(key=attrgetter("chain", "seq"))
        chains = list(dict.fromkeys(each.chain for each in self._unwritten))
        rows = [_VALUES(each) for each in self._unwritten]
        self._unwritten.clear()
        moved = [(chain, *self._heads[chain]) for chain in chains]
        try:
            if self._connection.dialect.name == "postgresql":
                columns = {**_arrays(heads, moved), **_arrays(entries, rows)}
                bare_rows(self._connection, _APPEND, columns)
            else:
                _MOVE_HEAD.put(self._connection, moved)
                _ADD_ENTRIES.put(self._connection, rows)
        except IntegrityError:
            raise ChainMovedError(chains) from None

    def _head(self, chain: str) -> tuple[int, str]:
        row = first_row(self._connection, _HEAD, {"chain": chain})
        return (0, GENESIS) if row is None else (row[0], row[1])


def _arrays(table: Table, rows: Sequence[tuple[object, ...]]) -> dict[str, object]:
    """The rows by their columns, as the statement that unnests them names these."""
    columns = zip(table.columns, zip(*rows, strict=True), strict=True)
    return {f"{table.name}_{column.name}": list(values) for column, values in columns}
