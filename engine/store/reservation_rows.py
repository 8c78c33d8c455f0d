"""What runs have reserved, and the rows that they lock before they count each other's.

Two runs that one guard sets apart lock the same row first, so the second one sees what the first
one reserved.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    Text,
    bindparam,
    case,
    delete,
    or_,
    select,
    update,
)

from engine.core.guards import EXCUSED, TAKES_BACK, Column, Guard, Reservation
from engine.core.journal import from_us, to_us
from engine.store.statements import bare_rows, insert_new, upsert
from engine.store.tables import IS_HELD, guards, reservations, storable

_table = reservations.c
_NAMES = tuple(column.name for column in reservations.columns)
# Creates the row or finds it, and locks it: the change that changes nothing.
_LOCK = upsert(guards, lambda new: {"key": new.key})
_RESERVE = insert_new(reservations)
_HELD = (
    select(reservations).where(IS_HELD).order_by(_table.taken_at_us, _table.run_id, _table.target)
)
_OF_RUN = _table.run_id == bindparam("of")
# What takes another run back stays that, unless a person let go of what it had kept.
_STAYS = (_table.outcome == TAKES_BACK) & (bindparam("ended", Text) != "")
_RELEASE = (
    update(reservations)
    .where(_OF_RUN, IS_HELD)
    .values(
        released_at_us=bindparam("at_us", BigInteger),
        outcome=case((_STAYS, TAKES_BACK), else_=bindparam("ended", Text)),
    )
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
    _LOCK.put(connection, [(key,) for key in sorted(set(keys))])


def counted(connection: Connection, guard: Guard, now: datetime) -> Sequence[Reservation]:
    """The reservations among which a guard counts, and which it may still count."""
    statement = _counted(tuple(column for column, _ in guard.among))
    values: dict[str, object] = {column: storable(each) for column, each in guard.among}
    values["since_us"] = to_us(now - guard.within)
    return [_reservation(row) for row in bare_rows(connection, statement, values)]


def held(connection: Connection) -> Sequence[Reservation]:
    """All that are held now, oldest first."""
    return [_reservation(row) for row in bare_rows(connection, _HELD, {})]


def reserve(connection: Connection, taken: Sequence[Reservation]) -> None:
    """Insert; what the run has already stays as it is."""
    rows = [
        (
            each.run_id,
            each.target,
            storable(each.playbook_id),
            each.rule_id,
            storable(each.service),
            each.incident_id,
            storable(each.incident),
            to_us(each.taken_at),
            None if each.released_at is None else to_us(each.released_at),
            each.outcome,
        )
        for each in taken
    ]
    _RESERVE.put(connection, rows)


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


def _reservation(row: Sequence[Any]) -> Reservation:
    values = dict(zip(_NAMES, row, strict=True))
    taken_at_us, released_at_us = values.pop("taken_at_us"), values.pop("released_at_us")
    released_at = None if released_at_us is None else from_us(released_at_us)
    return Reservation(**values, taken_at=from_us(taken_at_us), released_at=released_at)
