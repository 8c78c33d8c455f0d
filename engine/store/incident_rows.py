"""Incidents as documents beside the columns that find them; one live row a correlation key."""

import re
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, Select, bindparam, func, select
from sqlalchemy.exc import IntegrityError

from engine.core.incident import Incident
from engine.errors import ConflictError
from engine.ports.rows import IncidentFilter
from engine.store.codec import Codec
from engine.store.statements import first_row, upsert
from engine.store.tables import IS_LIVE, incidents, open_occurrences, storable

INCIDENTS = Codec(Incident)
# Ids are of [a-z2-7]: this sorts behind all of them.
AFTER_ANY_ID = "~"
# A number above this can't be stored, so it names nothing.
_LARGEST_NUMBER = 2**63 - 1

_DOCUMENT = select(incidents.c.document)
_BY_ID = _DOCUMENT.where(incidents.c.id == bindparam("id"))
_BY_NUMBER = _DOCUMENT.where(incidents.c.number == bindparam("number"))
_BY_PREFIX = (
    _DOCUMENT.where(incidents.c.id >= bindparam("first"), incidents.c.id < bindparam("after"))
    .order_by(incidents.c.id)
    .limit(2)
)
_LIVE = _DOCUMENT.where(incidents.c.correlation_key == bindparam("key"), IS_LIVE)
_LIVE_LOCKED = _LIVE.with_for_update()
_PREVIOUS = (
    select(incidents.c.id)
    .where(incidents.c.correlation_key == bindparam("key"))
    .order_by(incidents.c.number.desc())
    .limit(1)
)
_PUT = upsert(incidents)
_OPEN_COUNT = (
    select(func.count())
    .select_from(open_occurrences)
    .where(open_occurrences.c.incident_id == bindparam("incident"))
)
# Releases before revision 1.6 keep the ids of what fires in the document, don't know the
# count, and resolve an incident of which no id is left. So that one of their replicas doesn't
# do that during an upgrade, they find an id that never ends.
_UNCOUNTED = -1
_ID_THAT_STAYS = "counted"
_NAME = re.compile(r"(?:INC-)?([0-9]{1,19})", re.IGNORECASE | re.ASCII)


class IncidentRows:
    """What is put is seen at once by id and key, and written by `flush`."""

    def __init__(self, connection: Connection, *, lock: bool) -> None:
        self._connection = connection
        self._select_live = _LIVE_LOCKED if lock else _LIVE
        self._unwritten: dict[str, Incident] = {}
        self._live: dict[str, Incident | None] = {}

    def live(self, key: str) -> Incident | None:
        """The one that isn't closed; its row stays locked until the commit."""
        if key in self._live:
            return self._live[key]
        row = first_row(self._connection, self._select_live, {"key": key})
        found = None if row is None else self._decoded(row[0])
        if found is not None and found.id in self._unwritten:
            found = None  # it was closed in this transaction
        self._live[key] = found
        return found

    def previous(self, key: str) -> str:
        """The id of the newest that is closed, "" without one."""
        unwritten = [each for each in self._unwritten.values() if each.correlation_key == key]
        if unwritten:
            return max(unwritten, key=lambda each: each.number).id
        return self._connection.execute(_PREVIOUS, {"key": key}).scalar() or ""

    def by_id(self, incident: str) -> Incident | None:
        """As it is after this transaction so far."""
        if incident in self._unwritten:
            return self._unwritten[incident]
        row = first_row(self._connection, _BY_ID, {"id": incident})
        return None if row is None else self._decoded(row[0])

    def put(self, incident: Incident) -> None:
        """Insert or replace by id."""
        self._unwritten[incident.id] = incident
        if incident.status != "closed":
            self._live[incident.correlation_key] = incident
            return
        live = self._live.get(incident.correlation_key)
        if live is not None and live.id == incident.id:
            self._live[incident.correlation_key] = None

    def matching(self, which: IncidentFilter) -> Sequence[Incident]:
        """Newest number first."""
        self.flush()
        statement = _DOCUMENT
        for column, wanted in (
            (incidents.c.status, which.status),
            (incidents.c.severity, which.severity),
            (incidents.c.service, which.service),
        ):
            if wanted:
                statement = statement.where(column == wanted)
        if which.before_number is not None:
            statement = statement.where(incidents.c.number < which.before_number)
        statement = statement.order_by(incidents.c.number.desc()).limit(which.limit)
        return self._documents(statement, {})

    def find(self, prefix: str) -> Sequence[Incident]:
        """The one of that name; else those whose id begins so, at most two."""
        self.flush()
        named = _NAME.fullmatch(prefix)
        if named and int(named[1]) <= _LARGEST_NUMBER:
            found = self._documents(_BY_NUMBER, {"number": int(named[1])})
            if found:
                return found
        lowered = prefix.lower()
        if not lowered or not lowered.isalnum():
            return ()
        return self._documents(_BY_PREFIX, {"first": lowered, "after": lowered + AFTER_ANY_ID})

    def flush(self) -> None:
        """Write what was put, in one order for all writers; what closed makes room first."""
        if not self._unwritten:
            return
        ordered = sorted(
            self._unwritten.values(),
            key=lambda each: (each.correlation_key, each.status != "closed"),
        )
        self._unwritten.clear()
        try:
            _PUT.put(self._connection, [_row(each) for each in ordered])
        except IntegrityError:
            raise ConflictError(
                "another writer opened an incident for the same correlation key meanwhile; "
                "decide again on what is there now"
            ) from None

    def _documents(self, statement: Select[str], values: dict[str, object]) -> Sequence[Incident]:
        rows = self._connection.execute(statement, values).scalars().all()
        return [self._decoded(document) for document in rows]

    def _decoded(self, document: str) -> Incident:
        incident = INCIDENTS.decode(document, open_count=_UNCOUNTED)
        if incident.open_count != _UNCOUNTED:
            return incident
        fires = self._connection.execute(_OPEN_COUNT, {"incident": incident.id}).scalar_one()
        return replace(incident, open_count=fires)


def _row(incident: Incident) -> tuple[object, ...]:
    """In the order of the table's columns."""
    occurrences = [_ID_THAT_STAYS] if incident.open_count else []
    return (
        incident.id,
        incident.number,
        incident.correlation_key,
        incident.status,
        incident.severity.name,
        storable(incident.service),
        INCIDENTS.encode(incident, open_occurrences=occurrences),
    )
