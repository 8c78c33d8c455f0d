"""Bodies and records that couldn't be understood: one row per content, with a count."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    Connection,
    LargeBinary,
    Row,
    Select,
    and_,
    bindparam,
    func,
    or_,
    select,
    true,
    update,
)

from engine.core.journal import from_us, to_us
from engine.ports.rows import DeadLetter
from engine.store.incident_rows import AFTER_ANY_ID
from engine.store.statements import upsert
from engine.store.tables import dead_letters

# What a list shows of each body: a page of whole ones could be gigabytes.
LISTED_BYTES = 4096

_table = dead_letters.c
_PUT = upsert(
    dead_letters,
    lambda new: {
        "seen": _table.seen + 1,
        "last_at_us": new.last_at_us,
        "replayed_at_us": new.replayed_at_us,
    },
)
_HEADS = (
    select(
        *(column for column in _table if column is not _table.body),
        func.substr(_table.body, 1, LISTED_BYTES, type_=LargeBinary).label("body"),
        func.length(_table.body).label("size"),
    )
    .order_by(_table.last_at_us.desc(), _table.id)
    .limit(bindparam("limit"))
)
_PLACE = select(_table.last_at_us).where(_table.id == bindparam("after"))
_FIND = (
    select(dead_letters, func.length(_table.body).label("size"))
    .where(_table.id >= bindparam("first"), _table.id < bindparam("last"))
    .order_by(_table.id)
    .limit(2)
)
_MARK = (
    update(dead_letters)
    .where(_table.id == bindparam("letter"), _table.replayed_at_us.is_(None))
    .values(replayed_at_us=bindparam("at_us"))
)
_RESTATE = (
    update(dead_letters)
    .where(_table.id == bindparam("letter"))
    .values(reason=bindparam("why"), field=bindparam("where"))
)


def put_dead_letter(connection: Connection, letter: DeadLetter) -> None:
    """Insert, or count one more, move `last_at` and let it wait for a replay again."""
    connection.execute(
        _PUT.on(connection),
        {
            "id": letter.id,
            "source": letter.source,
            "reason": letter.reason,
            "field": letter.field,
            "body": letter.body,
            "first_at_us": to_us(letter.first_at),
            "last_at_us": to_us(letter.last_at),
            "seen": letter.count,
            "is_part": letter.is_part,
            "record_key": letter.record_key,
            "replayed_at_us": None,
        },
    )


def newest_dead_letters(
    connection: Connection, limit: int, *, waiting: bool = False, after: str = ""
) -> Sequence[DeadLetter]:
    """By when each was last seen; of the bodies only the beginning."""
    statement: Select[tuple[object, ...]] = _HEADS
    statement = statement.where(_table.replayed_at_us.is_(None) if waiting else true())
    if after:
        at = connection.execute(_PLACE, {"after": after}).scalar()
        if at is None:
            return ()
        behind = or_(_table.last_at_us < at, and_(_table.last_at_us == at, _table.id > after))
        statement = statement.where(behind)
    return [_letter(row) for row in connection.execute(statement, {"limit": limit})]


def find_dead_letters(connection: Connection, prefix: str) -> Sequence[DeadLetter]:
    """Whole, by the beginning of the id; at most 2."""
    first = prefix.lower()
    if not first or not first.isalnum():
        return ()
    rows = connection.execute(_FIND, {"first": first, "last": first + AFTER_ANY_ID})
    return [_letter(row) for row in rows]


def mark_replayed(connection: Connection, letter: str, at: datetime) -> bool:
    """Whether it still waited."""
    marked = connection.execute(_MARK, {"letter": letter, "at_us": to_us(at)})
    return marked.rowcount == 1


def restate_dead_letter(connection: Connection, letter: str, reason: str, field: str) -> None:
    """Replace what is wrong with it."""
    connection.execute(_RESTATE, {"letter": letter, "why": reason, "where": field})


def _letter(row: Row[tuple[object, ...]]) -> DeadLetter:
    replayed = row.replayed_at_us
    return DeadLetter(
        id=row.id,
        source=row.source,
        reason=row.reason,
        field=row.field,
        body=row.body,
        first_at=from_us(row.first_at_us),
        last_at=from_us(row.last_at_us),
        count=row.seen,
        is_part=row.is_part,
        record_key=row.record_key,
        replayed_at=None if replayed is None else from_us(replayed),
        left_out=row.size - len(row.body),
    )
