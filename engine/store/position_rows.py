"""Where each stream's partitions go on, and the counters that account for every record."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, and_, bindparam, func, or_, select, update

from engine.core.positions import stream_of
from engine.errors import FencedError
from engine.store.statements import first_row, insert_new, upsert
from engine.store.tables import counters, positions

# Enough that replicas rarely meet on a row; a sum over so few rows costs nothing.
COUNTER_SHARDS = 16

_POSITION = select(positions.c.next_offset).where(
    positions.c.stream == bindparam("stream"), positions.c.partition == bindparam("partition")
)
# A log's name is `<stream>@<id>`, or the stream's own; "A" is the byte after "@".
_OF_STREAM = select(positions).where(
    or_(
        positions.c.stream == bindparam("stream"),
        and_(positions.c.stream >= bindparam("first"), positions.c.stream < bindparam("after")),
    )
)
_ADVANCE = (
    update(positions)
    .where(
        positions.c.stream == bindparam("of"),
        positions.c.partition == bindparam("number"),
        positions.c.next_offset == bindparam("expected"),
    )
    .values(next_offset=bindparam("to"))
)
_START = insert_new(positions)
_COUNT = upsert(counters, lambda new: {"value": counters.c.value + new.value})
_COUNTERS = select(counters.c.name, func.sum(counters.c.value)).group_by(counters.c.name)
_NAMES: BindParameter[Any] = bindparam("names", expanding=True)
_OF_NAMES = _COUNTERS.where(counters.c.name.in_(_NAMES))


class PositionRows:
    """Positions change at once; counts are gathered until `flush`, so that rows lock briefly."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._counts: Counter[str] = Counter()

    def position(self, stream: str, partition: int) -> int:
        """0 when nothing was processed."""
        row = first_row(self._connection, _POSITION, {"stream": stream, "partition": partition})
        return 0 if row is None else int(row[0])

    def of_stream(self, log: str) -> Mapping[int, Mapping[str, int]]:
        """By partition and log."""
        stream = stream_of(log)
        bounds = {"stream": stream, "first": f"{stream}@", "after": f"{stream}A"}
        found: dict[int, dict[str, int]] = {}
        for row in self._connection.execute(_OF_STREAM, bounds):
            found.setdefault(row.partition, {})[row.stream] = row.next_offset
        return found

    def advance(self, stream: str, partition: int, expected: int, to: int) -> None:
        """Compare-and-set; raises FencedError when it isn't `expected`."""
        key = {"of": stream, "number": partition}
        moved = self._connection.execute(_ADVANCE, {**key, "expected": expected, "to": to}).rowcount
        if not moved and expected == 0:
            row = {"stream": stream, "partition": partition, "next_offset": to}
            moved = self._connection.execute(_START.on(self._connection), row).rowcount
        if not moved:
            raise FencedError(
                f"partition {partition} of {stream!r} is no longer at {expected}: another "
                "consumer moved it, so read its position again"
            )

    def count(self, counts: Mapping[str, int]) -> None:
        """Add."""
        self._counts.update(counts)

    def counters(self) -> Mapping[str, int]:
        """All, summed over their shards."""
        self.flush()
        return {name: int(value) for name, value in self._connection.execute(_COUNTERS)}

    def counted(self, names: Sequence[str]) -> Sequence[int]:
        """These counters after this transaction so far; nothing is locked."""
        found = dict(self._connection.execute(_OF_NAMES, {"names": names}).all())
        return [int(found.get(name, 0)) + self._counts[name] for name in names]

    def flush(self) -> None:
        """Write the counts, in one order for all writers."""
        added = sorted((name, value) for name, value in self._counts.items() if value)
        self._counts.clear()
        if added:
            shard = os.urandom(1)[0] % COUNTER_SHARDS
            self._connection.execute(
                _COUNT.on(self._connection),
                [{"name": name, "shard": shard, "value": value} for name, value in added],
            )
