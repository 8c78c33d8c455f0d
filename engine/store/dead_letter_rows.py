"""Bodies and records that couldn't be understood: one row per content, with a count."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Connection,
    LargeBinary,
    Row,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    or_,
    select,
    true,
    update,
)

from engine.core.journal import from_us, to_us
from engine.ports.rows import DeadLetter
from engine.store.incident_rows import AFTER_ANY_ID
from engine.store.statements import chunked, upsert
from engine.store.tables import dead_letters

# What a list shows of each body: a page of whole ones could be gigabytes.
LISTED_BYTES = 4096
COUNTED = ("dead_letters/letters", "dead_letters/bytes", "dead_letters/bodiless")

_table = dead_letters.c
_LACKS_BODY = _table.kept_bytes < _table.size
_SIZE = func.coalesce(_table.size, func.length(_table.body)).label("whole")
_PUT = upsert(
    dead_letters,
    lambda new: {
        "seen": _table.seen + 1,
        "last_at_us": new.last_at_us,
        "replayed_at_us": new.replayed_at_us,
        # One that was too much is kept after all once there is room.
        "body": case((_LACKS_BODY, new.body), else_=_table.body),
        "kept_bytes": case((_LACKS_BODY, new.kept_bytes), else_=_table.kept_bytes),
    },
    returning=("seen",),
)
_USAGE = select(
    func.count(),
    func.coalesce(func.sum(_table.kept_bytes), 0),
    func.coalesce(func.sum(case((_LACKS_BODY, 1), else_=0)), 0),
)
_MEASURE = (
    update(dead_letters)
    .where(_table.kept_bytes.is_(None))
    .values(size=func.length(_table.body), kept_bytes=func.length(_table.body))
)
_UNSEEN = _table.last_at_us < bindparam("seen_before", BigInteger)
_DONE = _table.replayed_at_us < bindparam("replayed_before", BigInteger)
_IS_OLD = or_(_UNSEEN, _DONE)
_SIZED = select(_table.id, func.coalesce(_table.kept_bytes, 0)).limit(bindparam("limit"))
# One by one, because together they are found in no index.
_OLD = (
    _SIZED.where(_UNSEEN).order_by(_table.last_at_us),
    _SIZED.where(_DONE).order_by(_table.replayed_at_us),
)
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
# Asked once more, because one may have been seen again since it was found.
_REMOVE = delete(dead_letters).where(_table.id.in_(_IDS), _IS_OLD)
_HEADS = (
    select(
        *(column for column in _table if column is not _table.body),
        func.substr(_table.body, 1, LISTED_BYTES, type_=LargeBinary).label("body"),
        _SIZE,
    )
    .order_by(_table.last_at_us.desc(), _table.id)
    .limit(bindparam("limit"))
)
_PLACE = select(_table.last_at_us).where(_table.id == bindparam("after"))
_FIND = (
    select(dead_letters, _SIZE)
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


def put_dead_letter(connection: Connection, letter: DeadLetter) -> bool:
    """Insert, or count one more, move `last_at` and let it wait for a replay again.

    Whether it is new.
    """
    seen: int = connection.execute(
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
            "size": len(letter.body) + letter.left_out,
            "kept_bytes": len(letter.body),
        },
    ).scalar_one()
    return seen == letter.count


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


def counts_of(letter: DeadLetter) -> dict[str, int]:
    """What one more adds to the durable counters COUNTED.

    They are kept as letters come, because counting 100,000 rows takes 40 ms; what else happens to
    letters is found by `dead_letter_usage` and corrected.
    """
    return dict(zip(COUNTED, (1, len(letter.body), int(letter.left_out > 0)), strict=True))


def dead_letter_usage(connection: Connection) -> dict[str, int]:
    """What the counters COUNTED should be."""
    return dict(zip(COUNTED, map(int, connection.execute(_USAGE).one()), strict=True))


def drift(connection: Connection, counted: Sequence[int]) -> dict[str, int]:
    """By how much the counters COUNTED are below what is there; what is right is left out."""
    there = dead_letter_usage(connection)
    return {
        name: there[name] - known
        for name, known in zip(COUNTED, counted, strict=True)
        if there[name] != known
    }


def measure_dead_letters(connection: Connection) -> None:
    """Fill in what a replica of an older release left out."""
    connection.execute(_MEASURE)


def old_dead_letters(
    connection: Connection, seen_before: datetime, replayed_before: datetime, limit: int
) -> Sequence[tuple[str, int]]:
    """(id, bytes of its body), at most so many of either kind."""
    asked = {**_before(seen_before, replayed_before), "limit": limit}
    found: dict[str, int] = {}
    for statement in _OLD:
        found.update((row[0], int(row[1])) for row in connection.execute(statement, asked))
    return list(found.items())


def remove_dead_letters(
    connection: Connection, ids: Sequence[str], seen_before: datetime, replayed_before: datetime
) -> int:
    """Those that are old still; how many went."""
    asked = _before(seen_before, replayed_before)
    return sum(
        connection.execute(_REMOVE, {**asked, "ids": part}).rowcount for part in chunked(ids)
    )


def _before(seen: datetime, replayed: datetime) -> dict[str, int]:
    return {"seen_before": to_us(seen), "replayed_before": to_us(replayed)}


def _letter(row: Row[tuple[object, ...]]) -> DeadLetter:
    replayed = row.replayed_at_us
    # SQLite takes no part of an empty one.
    body = row.body or b""
    return DeadLetter(
        id=row.id,
        source=row.source,
        reason=row.reason,
        field=row.field,
        body=body,
        first_at=from_us(row.first_at_us),
        last_at=from_us(row.last_at_us),
        count=row.seen,
        is_part=row.is_part,
        record_key=row.record_key,
        replayed_at=None if replayed is None else from_us(replayed),
        left_out=row.whole - len(body),
    )
