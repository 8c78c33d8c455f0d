"""The latest occurrence of each fingerprint, and which of them fire in which incident."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, select

from engine.core.alert import Occurrence
from engine.store.codec import Codec
from engine.store.statements import chunked, insert_new, upsert
from engine.store.tables import occurrences, open_occurrences

OCCURRENCES = Codec(Occurrence)

_KEYS: BindParameter[Any] = bindparam("keys", expanding=True)
_LATEST = select(occurrences.c.fingerprint, occurrences.c.document).where(
    occurrences.c.fingerprint.in_(_KEYS)
)
_PUT = upsert(occurrences)
_UNLINK = delete(open_occurrences).where(open_occurrences.c.fingerprint.in_(_KEYS))
_LINK = insert_new(open_occurrences)
_OPEN = (
    select(occurrences.c.document)
    .join(open_occurrences, open_occurrences.c.fingerprint == occurrences.c.fingerprint)
    .where(open_occurrences.c.incident_id == bindparam("incident"))
    .limit(bindparam("at_most"))
)


_NEXT = (
    select(occurrences)
    .where(occurrences.c.fingerprint > bindparam("after"))
    .order_by(occurrences.c.fingerprint)
    .limit(bindparam("limit"))
)
_LOCKED = (
    select(occurrences)
    .where(occurrences.c.fingerprint.in_(_KEYS))
    .order_by(occurrences.c.fingerprint)
    .with_for_update()
)
_FORGET = delete(occurrences).where(occurrences.c.fingerprint.in_(_KEYS))


class OccurrenceRows:
    """Of one transaction, which remembers in which incidents those that it has read fire."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._linked: dict[str, frozenset[str]] = {}

    def latest(self, fingerprints: Sequence[str]) -> Mapping[str, Occurrence]:
        """Open or not, by fingerprint; those never seen are absent."""
        found = {}
        for keys in chunked(fingerprints):
            for fingerprint, document in self._connection.execute(_LATEST, {"keys": keys}):
                found[fingerprint] = OCCURRENCES.decode(document)
        for fingerprint in fingerprints:
            self._linked[fingerprint] = _links(found.get(fingerprint))
        return found

    def put(self, changed: Sequence[Occurrence]) -> None:
        """Insert or replace by fingerprint; the last one of a fingerprint wins."""
        latest = {each.alert.fingerprint: each for each in changed}
        wanted = {fingerprint: _links(latest[fingerprint]) for fingerprint in sorted(latest)}
        known = self._linked
        gone = [f for f, links in wanted.items() if f not in known or known[f] - links]
        rows = [(f, OCCURRENCES.encode(latest[f])) for f in wanted]
        _PUT.put(self._connection, rows)
        for keys in chunked(gone):
            self._connection.execute(_UNLINK, {"keys": keys})
        # Those that are there already too: another replica may have ended one meanwhile.
        links = [(f, incident) for f in wanted for incident in sorted(wanted[f])]
        _LINK.put(self._connection, links)
        known.update(wanted)


def _links(occurrence: Occurrence | None) -> frozenset[str]:
    """The incidents in which it fires."""
    if occurrence is None or not occurrence.is_open:
        return frozenset()
    return frozenset(occurrence.incident_ids)


def firing_occurrences(connection: Connection, incident: str, limit: int) -> Sequence[Occurrence]:
    """So many of the incident's that are open, oldest first; which of them is left to the index."""
    asked = {"incident": incident, "at_most": limit}
    documents = connection.execute(_OPEN, asked).scalars()
    found = [OCCURRENCES.decode(document) for document in documents]
    return sorted(found, key=lambda each: (each.started_at, each.id))


def ended_occurrences(
    connection: Connection, before: datetime, after: str, limit: int
) -> tuple[Sequence[str], str]:
    """Of the next ones by fingerprint, those that ended before, and the last one looked at."""
    rows = connection.execute(_NEXT, {"after": after, "limit": limit}).all()
    last = rows[-1].fingerprint if len(rows) == limit else ""
    return [row.fingerprint for row in rows if _ended(row.document, before)], last


def remove_occurrences(
    connection: Connection, fingerprints: Sequence[str], before: datetime
) -> int:
    """Locked while they are looked at, so that none that fires again meanwhile is lost."""
    removed = 0
    for keys in chunked(fingerprints):
        rows = connection.execute(_LOCKED, {"keys": keys}).all()
        ended = [row.fingerprint for row in rows if _ended(row.document, before)]
        for part in chunked(ended):
            removed += connection.execute(_FORGET, {"keys": part}).rowcount
    return removed


def _ended(document: str, before: datetime) -> bool:
    ended_at = OCCURRENCES.decode(document).ended_at
    return ended_at is not None and ended_at < before
