"""What was decided on ahead of its turn: few rows, gone as soon as their turn has come."""

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, delete, insert, select
from typing_extensions import override

from engine.ports.ahead import AheadRows
from engine.store.tables import decided_ahead

_OF_LOG = select(decided_ahead).where(decided_ahead.c.stream == bindparam("log"))
_NOTE = insert(decided_ahead)
_TAKE = (
    delete(decided_ahead)
    .where(
        decided_ahead.c.stream == bindparam("log"),
        decided_ahead.c.partition == bindparam("number"),
        decided_ahead.c.record_offset < bindparam("before"),
    )
    .returning(decided_ahead.c.record_offset, decided_ahead.c.record_hash)
)


class SqlAheadRows(AheadRows):
    """Over the connection of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def of_log(self, log: str) -> Mapping[int, Mapping[int, str]]:
        found: dict[int, dict[int, str]] = {}
        for row in self._connection.execute(_OF_LOG, {"log": log}):
            found.setdefault(row.partition, {})[row.record_offset] = row.record_hash
        return found

    @override
    def note(self, log: str, partition: int, decided: Mapping[int, str]) -> None:
        if decided:
            place = {"stream": log, "partition": partition}
            rows = [
                {**place, "record_offset": offset, "record_hash": each}
                for offset, each in decided.items()
            ]
            self._connection.execute(_NOTE, rows)

    @override
    def take(self, log: str, partition: int, before: int) -> Mapping[int, str]:
        asked = {"log": log, "number": partition, "before": before}
        found = self._connection.execute(_TAKE, asked)
        return {row.record_offset: row.record_hash for row in found}
