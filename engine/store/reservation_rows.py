"""What runs have reserved, and the rows that they lock before they count each other's.

Two runs that one guard sets apart lock the same row first, so the second one sees what the first
one reserved.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, or_, select, update

from engine.core.guards import EXCUSED, Column, Guard, Reservation
from engine.core.journal import from_us, to_us
from engine.store.statements import insert_new, upsert
from engine.store.tables import IS_HELD, guards, reservations

_table = reservations.c
# Creates the row or finds it, and locks it: the change that changes nothing.
_LOCK = upsert(guards, lambda new: {"key": new.key})
_RESERVE = insert_new(reservations)
_HELD = (
    select(reservations).where(IS_HELD).order_by(_table.taken_at_us, _table.run_id, _table.target)
)
_OF_RUN = _table.run_id == bindparam("of")
_RELEASE = (
    update(reservations)
    .where(_OF_RUN, IS_HELD)
    .values(released_at_us=bindparam("at_us"), outcome=bindparam("ended"))
)
_EXCUSE = update(reservations).where(_OF_RUN).values(outcome=EXCUSED)
_FORGET = delete(reservations).where(_OF_RUN)
_FORGET_OLD = delete(reservations).where(_table.released_at_us < bindparam("before_us"))


@cache
def _counted(columns: tuple[Column, ...]) -> Select[Any]:
    """Built once for each set of columns that guards compare."""
    return (
        select(reservations)
        .where(
            *(_table[column] == bindparam(column) for column in columns),
            or_(
                IS_HELD,
                _table.released_at_us > bindparam("since_us"),
                _table.taken_at_us > bindparam("since_us"),
            ),
        )
        .order_by(_table.taken_at_us, _table.run_id, _table.target)
    )


def hold_guards(connection: Connection, keys: Sequence[str]) -> None:
    """Lock these, in one order for all writers, until the commit."""
    for key in sorted(set(keys)):
        connection.execute(_LOCK.on(connection), {"key": key})


def counted(connection: Connection, guard: Guard, now: datetime) -> Sequence[Reservation]:
    """The reservations among which a guard counts, and which it may still count."""
    statement = _counted(tuple(column for column, _ in guard.among))
    values: dict[str, object] = {"since_us": to_us(now - guard.within)}
    values.update(guard.among)
    rows = connection.execute(statement, values)
    return [_reservation(row) for row in rows]


def held(connection: Connection) -> Sequence[Reservation]:
    """All that are held now, oldest first."""
    return [_reservation(row) for row in connection.execute(_HELD)]


def reserve(connection: Connection, taken: Sequence[Reservation]) -> None:
    """Insert; what the run has already stays as it is."""
    rows = [
        {
            "run_id": each.run_id,
            "target": each.target,
            "playbook_id": each.playbook_id,
            "rule_id": each.rule_id,
            "service": each.service,
            "incident_id": each.incident_id,
            "incident": each.incident,
            "taken_at_us": to_us(each.taken_at),
            "released_at_us": None,
            "outcome": "",
        }
        for each in taken
    ]
    if rows:
        connection.execute(_RESERVE.on(connection), rows)


def release(connection: Connection, run: str, outcome: str, at: datetime) -> None:
    """Let go of what a run holds, which ended so."""
    connection.execute(_RELEASE, {"of": run, "ended": outcome, "at_us": to_us(at)})


def excuse(connection: Connection, runs: Sequence[str]) -> None:
    """These runs' failures are excused."""
    connection.execute(_EXCUSE, [{"of": run} for run in runs])


def forget(connection: Connection, run: str) -> None:
    """As if the run had never reserved anything."""
    connection.execute(_FORGET, {"of": run})


def forget_before(connection: Connection, before: datetime) -> int:
    """Remove what was let go of before; how many went."""
    return connection.execute(_FORGET_OLD, {"before_us": to_us(before)}).rowcount


def _reservation(row: Row[tuple[object, ...]]) -> Reservation:
    return Reservation(
        run_id=row.run_id,
        target=row.target,
        playbook_id=row.playbook_id,
        rule_id=row.rule_id,
        service=row.service,
        incident_id=row.incident_id,
        incident=row.incident,
        taken_at=from_us(row.taken_at_us),
        released_at=None if row.released_at_us is None else from_us(row.released_at_us),
        outcome=row.outcome,
    )
