"""The latest occurrence of each fingerprint, and which of them fire in which incident."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, insert, select

from engine.core.alert import Occurrence
from engine.store.codec import Codec
from engine.store.statements import chunked, upsert
from engine.store.tables import occurrences, open_occurrences

OCCURRENCES = Codec(Occurrence)

_KEYS: BindParameter[Any] = bindparam("keys", expanding=True)
_LATEST = select(occurrences.c.fingerprint, occurrences.c.document).where(
    occurrences.c.fingerprint.in_(_KEYS)
)
_PUT = upsert(occurrences)
_UNLINK = delete(open_occurrences).where(open_occurrences.c.fingerprint.in_(_KEYS))
_LINK = insert(open_occurrences)
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


def latest_occurrences(
    connection: Connection, fingerprints: Sequence[str]
) -> Mapping[str, Occurrence]:
    """Open or not, by fingerprint; those never seen are absent."""
    found = {}
    for keys in chunked(fingerprints):
        for fingerprint, document in connection.execute(_LATEST, {"keys": keys}):
            found[fingerprint] = OCCURRENCES.decode(document)
    return found


def put_occurrences(connection: Connection, changed: Sequence[Occurrence]) -> None:
    """Insert or replace by fingerprint; the last one of a fingerprint wins."""
    latest = {each.alert.fingerprint: each for each in changed}
    fingerprints = sorted(latest)
    if not fingerprints:
        return
    connection.execute(
        _PUT.on(connection),
        [{"fingerprint": f, "document": OCCURRENCES.encode(latest[f])} for f in fingerprints],
    )
    for keys in chunked(fingerprints):
        connection.execute(_UNLINK, {"keys": keys})
    links = [
        {"fingerprint": f, "incident_id": incident}
        for f in fingerprints
        if latest[f].is_open
        for incident in dict.fromkeys(latest[f].incident_ids)
    ]
    if links:
        connection.execute(_LINK, links)


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
