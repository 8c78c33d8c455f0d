"""The latest occurrence of each fingerprint, and which of them fire in which incident."""

from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from hashlib import blake2b
from operator import attrgetter
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, or_, select, text, union

from engine.core.alert import Firing, Occurrence, firing_of
from engine.core.journal import from_us, to_us
from engine.store.codec import Codec
from engine.store.statements import chunked, insert_new, upsert
from engine.store.tables import incidents, notices, occurrences, open_occurrences

OCCURRENCES = Codec(Occurrence)

_KEYS: BindParameter[Any] = bindparam("keys", expanding=True)
_WITH_NOTICES = select(
    occurrences.c.fingerprint,
    occurrences.c.document,
    notices.c.digest,
    notices.c.started_at_us,
    notices.c.last_notice_at_us,
    notices.c.expires_at_us,
    notices.c.repeats,
    notices.c.kept_expiry_us,
).outerjoin(notices, notices.c.fingerprint == occurrences.c.fingerprint)
_LATEST = _WITH_NOTICES.where(occurrences.c.fingerprint.in_(_KEYS))
_PUT = upsert(occurrences)
_REPEAT = upsert(notices)
_UNLINK = delete(open_occurrences).where(open_occurrences.c.fingerprint.in_(_KEYS))
_LINK = insert_new(open_occurrences)
_OPEN = (
    _WITH_NOTICES.join(
        open_occurrences, open_occurrences.c.fingerprint == occurrences.c.fingerprint
    )
    .where(open_occurrences.c.incident_id == bindparam("incident"))
    .limit(bindparam("at_most"))
)
_FIRING = (
    select(open_occurrences.c.target, incidents.c.number)
    .distinct()
    .join(incidents, incidents.c.id == open_occurrences.c.incident_id)
    .where(open_occurrences.c.target != "", incidents.c.status == "open")
    .order_by(incidents.c.number.desc())
    .limit(bindparam("at_most"))
)

_FIRES_IN = select(open_occurrences.c.incident_id).where(
    open_occurrences.c.incident_id == incidents.c.id
)
_TROUBLED = (
    union(
        select(open_occurrences.c.target.label("name"), incidents.c.number)
        .join(incidents, incidents.c.id == open_occurrences.c.incident_id)
        .where(open_occurrences.c.target.in_(_KEYS), incidents.c.status == "open"),
        select(incidents.c.service.label("name"), incidents.c.number).where(
            incidents.c.service.in_(_KEYS),
            incidents.c.status == "open",
            or_(incidents.c.severity.in_(["P1", "P2"]), _FIRES_IN.exists()),
        ),
    )
).order_by(text("number DESC"))

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
_FORGET_NOTICES = delete(notices).where(notices.c.fingerprint.in_(_KEYS))


class OccurrenceRows:
    """Of one transaction, which remembers in which incidents those that it has read fire."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._linked: dict[str, frozenset[str]] = {}
        # Of the documents beside which repeats may be written.
        self._digests: dict[str, int] = {}

    def latest(self, fingerprints: Sequence[str]) -> Mapping[str, Occurrence]:
        """Open or not, by fingerprint; those never seen are absent."""
        return self.known(fingerprints, frozenset(fingerprints))[0]

    def known(
        self, fingerprints: Sequence[str], whole: Set[str]
    ) -> tuple[Mapping[str, Occurrence], Mapping[str, Firing]]:
        """As the port says."""
        found, firing = dict[str, Occurrence](), dict[str, Firing]()
        for keys in chunked(fingerprints):
            for row in self._connection.execute(_LATEST, {"keys": keys}):
                fingerprint = row[0]
                fires = None if fingerprint in whole else self._firing(row)
                if fires is None:
                    found[fingerprint] = _occurrence(row)
                else:
                    firing[fingerprint] = fires
        for fingerprint in fingerprints:
            if fingerprint not in firing:
                self._linked[fingerprint] = _links(found.get(fingerprint))
        return found, firing

    def _firing(self, row: Sequence[Any]) -> Firing | None:
        digest = _digest(row[1])
        fires = _noticed(row, digest) or firing_of(OCCURRENCES.decode(row[1]))
        if fires is not None:
            self._digests[row[0]] = digest
        return fires

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
        links = [
            (f, incident, latest[f].alert.target) for f in wanted for incident in sorted(wanted[f])
        ]
        _LINK.put(self._connection, links)
        known.update(wanted)

    def put_repeats(self, repeated: Sequence[Firing]) -> None:
        """Beside the documents that were read."""
        rows = [
            (
                each.fingerprint,
                self._digests[each.fingerprint],
                to_us(each.started_at),
                to_us(each.last_notice_at),
                _us(each.expires_at),
                each.repeats,
                _us(each.kept_expiry),
            )
            for each in sorted(repeated, key=attrgetter("fingerprint"))
        ]
        _REPEAT.put(self._connection, rows)


def _digest(document: str) -> int:
    return int.from_bytes(blake2b(document.encode(), digest_size=8).digest(), signed=True)


def _us(at: datetime | None) -> int | None:
    return None if at is None else to_us(at)


def _noticed(row: Sequence[Any], digest: int) -> Firing | None:
    """What repeats made of the document of this digest, None where the row has nothing of it."""
    fingerprint, _document, of, started_us, last_us, expires_us, repeats, kept_us = row
    if of != digest:
        return None
    return Firing(
        fingerprint=fingerprint,
        started_at=from_us(started_us),
        last_notice_at=from_us(last_us),
        expires_at=None if expires_us is None else from_us(expires_us),
        repeats=repeats,
        kept_expiry=None if kept_us is None else from_us(kept_us),
    )


def _occurrence(row: Sequence[Any]) -> Occurrence:
    kept = OCCURRENCES.decode(row[1])
    firing = None if row[2] is None else _noticed(row, _digest(row[1]))
    return kept if firing is None else firing.of(kept)


def _links(occurrence: Occurrence | None) -> frozenset[str]:
    """The incidents in which it fires."""
    if occurrence is None or not occurrence.is_open:
        return frozenset()
    return frozenset(occurrence.incident_ids)


def firing_occurrences(connection: Connection, incident: str, limit: int) -> Sequence[Occurrence]:
    """So many of the incident's that are open, oldest first; which of them is left to the index."""
    asked = {"incident": incident, "at_most": limit}
    found = [_occurrence(row) for row in connection.execute(_OPEN, asked)]
    return sorted(found, key=lambda each: (each.started_at, each.id))


def firing_targets(connection: Connection, limit: int) -> Sequence[tuple[str, int]]:
    """(target, number of an open incident in which it fires), so many, newest incidents first."""
    rows = connection.execute(_FIRING, {"at_most": limit})
    return [(row.target, row.number) for row in rows]


def troubled(connection: Connection, names: Sequence[str]) -> Sequence[tuple[str, int]]:
    """(service or target, number of an open incident in which it fires, or that is grave)."""
    rows = [row for keys in chunked(names) for row in connection.execute(_TROUBLED, {"keys": keys})]
    return [(row.name, row.number) for row in rows]


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
            connection.execute(_FORGET_NOTICES, {"keys": part})
    return removed


def _ended(document: str, before: datetime) -> bool:
    ended_at = OCCURRENCES.decode(document).ended_at
    return ended_at is not None and ended_at < before
