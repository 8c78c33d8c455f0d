"""What rules count, which open occurrences wait, and which hold others back."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, bindparam, delete, select
from typing_extensions import override

from engine.core.conditions import GroupState, Hold
from engine.core.journal import from_us, to_us
from engine.ports.conditions import ConditionRows, Waiting
from engine.store.codec import Codec
from engine.store.occurrence_rows import OCCURRENCES
from engine.store.statements import chunked, insert_new, upsert
from engine.store.tables import groups, holds, incidents, inhibitors, occurrences, open_occurrences

GROUPS = Codec(GroupState)

# Creates the row or finds it, and locks it: two partitions that count one group wait for each
# other, or each would overwrite what the other counted.
_TAKE = upsert(groups, lambda new: {"id": new.id}, returning=("document",))
_PUT = upsert(groups)
_OLD = (
    select(groups.c.id).where(groups.c.touched_at_us < bindparam("before")).limit(bindparam("most"))
)
_KEYS: BindParameter[Any] = bindparam("keys", expanding=True)
_FORGET = delete(groups).where(groups.c.id.in_(_KEYS), groups.c.touched_at_us < bindparam("before"))

_LET_GO = delete(holds).where(holds.c.fingerprint == bindparam("of"))
_HOLD = insert_new(holds)
_WAITING = (
    select(holds.c.fingerprint, holds.c.partition_key, holds.c.kind)
    .where(holds.c.waits_for == bindparam("key"))
    .order_by(holds.c.since_us, holds.c.fingerprint)
)
_OF = select(holds).where(holds.c.fingerprint == bindparam("of")).order_by(holds.c.rule_id)
_FIRING = (
    select(occurrences.c.document)
    .join(open_occurrences, open_occurrences.c.fingerprint == occurrences.c.fingerprint)
    .join(incidents, incidents.c.id == open_occurrences.c.incident_id)
    .where(incidents.c.service.in_(_KEYS), incidents.c.status == "open")
    .order_by(occurrences.c.fingerprint)
)
_PARTS = select(holds.c.part).where(holds.c.waits_for == bindparam("key")).distinct()
_HELD = (
    select(holds).order_by(holds.c.since_us.desc(), holds.c.fingerprint).limit(bindparam("most"))
)

_INHIBIT = insert_new(inhibitors)
_STOP_INHIBITING = delete(inhibitors).where(inhibitors.c.fingerprint == bindparam("of"))
_INHIBITING = (
    select(inhibitors.c.key, inhibitors.c.fingerprint)
    .where(inhibitors.c.key.in_(_KEYS), inhibitors.c.fingerprint != bindparam("but"))
    .order_by(inhibitors.c.key, inhibitors.c.fingerprint)
    .limit(1)
)


class SqlConditionRows(ConditionRows):
    """Over the connection of one transaction, whose time is `now`."""

    def __init__(
        self, connection: Connection, now: Callable[[], datetime], *, reading: bool
    ) -> None:
        self._connection = connection
        self._now = now
        self._reading = reading
        # As they are after this transaction so far.
        self._groups: dict[str, GroupState] = {}

    @override
    def group(self, group: str) -> GroupState:
        if group not in self._groups:
            self._groups[group] = self._taken(group)
        return self._groups[group]

    def _taken(self, group: str) -> GroupState:
        empty = GroupState(group)
        if self._reading:
            statement = select(groups.c.document).where(groups.c.id == group)
            document = self._connection.execute(statement).scalar()
            return empty if document is None else GROUPS.decode(document)
        values = {"id": group, "document": GROUPS.encode(empty), "touched_at_us": self._now_us()}
        return GROUPS.decode(
            self._connection.execute(_TAKE.on(self._connection), values).scalar_one()
        )

    @override
    def put_group(self, state: GroupState) -> None:
        if self._groups.get(state.id) != state:
            self._groups[state.id] = state
            _PUT.put(self._connection, [(state.id, GROUPS.encode(state), self._now_us())])

    def _now_us(self) -> int:
        return to_us(self._now())

    @override
    def forget_groups(self, before: datetime, limit: int) -> int:
        asked = {"before": to_us(before), "most": limit}
        old = self._connection.execute(_OLD, asked).scalars().all()
        forgotten = 0
        for keys in chunked(old):
            values = {"keys": keys, "before": to_us(before)}
            forgotten += self._connection.execute(_FORGET, values).rowcount
        return forgotten

    @override
    def put_holds(self, fingerprint: str, partition_key: str, held: Sequence[Hold]) -> None:
        self._connection.execute(_LET_GO, {"of": fingerprint})
        if held:
            rows = [
                {
                    "fingerprint": fingerprint,
                    "rule_id": hold.rule_id,
                    "kind": hold.kind,
                    "waits_for": hold.waits_for,
                    "part": hold.part,
                    "since_us": to_us(hold.since),
                    "until_us": None if hold.until is None else to_us(hold.until),
                    "partition_key": partition_key,
                }
                for hold in held
            ]
            self._connection.execute(_HOLD.on(self._connection), rows)

    @override
    def holds_of(self, fingerprint: str) -> Sequence[Hold]:
        return [_hold(row) for row in self._connection.execute(_OF, {"of": fingerprint})]

    @override
    def waiting(self, waits_for: str) -> Sequence[Waiting]:
        return [Waiting(*row) for row in self._connection.execute(_WAITING, {"key": waits_for})]

    @override
    def firing_of(self, services: Sequence[str]) -> Sequence[Waiting]:
        found = []
        for keys in chunked(services):
            for document in self._connection.execute(_FIRING, {"keys": keys}).scalars():
                occurrence = OCCURRENCES.decode(document)
                fingerprint = occurrence.alert.fingerprint
                found.append(Waiting(fingerprint, occurrence.partition_key, ""))
        return found

    @override
    def parts(self, waits_for: str) -> frozenset[int]:
        return frozenset(self._connection.execute(_PARTS, {"key": waits_for}).scalars())

    @override
    def inhibit(self, fingerprint: str, keys: Sequence[str]) -> None:
        if keys:
            rows = [{"key": key, "fingerprint": fingerprint} for key in keys]
            self._connection.execute(_INHIBIT.on(self._connection), rows)

    @override
    def stop_inhibiting(self, fingerprint: str) -> None:
        self._connection.execute(_STOP_INHIBITING, {"of": fingerprint})

    @override
    def inhibiting(self, keys: Sequence[str], *, but: str = "") -> tuple[str, str] | None:
        for part in chunked(sorted(keys)):
            found = self._connection.execute(_INHIBITING, {"keys": part, "but": but}).first()
            if found is not None:
                return found.key, found.fingerprint
        return None

    @override
    def held(self, limit: int) -> Sequence[tuple[str, Hold]]:
        rows = self._connection.execute(_HELD, {"most": limit})
        return [(row.fingerprint, _hold(row)) for row in rows]


def _hold(row: Row[Any]) -> Hold:
    return Hold(
        rule_id=row.rule_id,
        kind=row.kind,
        since=from_us(row.since_us),
        waits_for=row.waits_for,
        part=row.part,
        until=None if row.until_us is None else from_us(row.until_us),
    )
