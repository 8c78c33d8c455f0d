"""Of a transaction, what concerns dead letters."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection
from typing_extensions import override

from engine.ports.known_secrets import KNOWN
from engine.ports.rows import DeadLetter, DeadLetterUsage
from engine.ports.store import Tx
from engine.store import dead_letter_rows
from engine.store.position_rows import PositionRows


class DeadLetterTx(Tx):
    """A part of `SqlTx`, which makes what this one works with."""

    _connection: Connection
    _positions: PositionRows

    @override
    def put_dead_letter(self, letter: DeadLetter) -> bool:
        # The body is kept as it came, or it couldn't be replayed.
        letter = replace(letter, reason=KNOWN.mask(letter.reason))
        is_new = dead_letter_rows.put_dead_letter(self._connection, letter)
        if is_new:
            self._positions.count(dead_letter_rows.counts_of(letter))
        return is_new

    @override
    def dead_letter_usage(self) -> DeadLetterUsage:
        return DeadLetterUsage(*self._positions.counted(dead_letter_rows.COUNTED))

    @override
    def dead_letter_drift(self) -> Mapping[str, int]:
        counted = self._positions.counted(dead_letter_rows.COUNTED)
        return dead_letter_rows.drift(self._connection, counted)

    @override
    def measure_dead_letters(self) -> None:
        dead_letter_rows.measure_dead_letters(self._connection)

    @override
    def old_dead_letters(
        self, seen_before: datetime, replayed_before: datetime, limit: int
    ) -> Sequence[tuple[str, int]]:
        return dead_letter_rows.old_dead_letters(
            self._connection, seen_before, replayed_before, limit
        )

    @override
    def remove_dead_letters(
        self, ids: Sequence[str], seen_before: datetime, replayed_before: datetime
    ) -> int:
        return dead_letter_rows.remove_dead_letters(
            self._connection, ids, seen_before, replayed_before
        )

    @override
    def dead_letters(
        self, limit: int, *, waiting: bool = False, after: str = ""
    ) -> Sequence[DeadLetter]:
        return dead_letter_rows.newest_dead_letters(
            self._connection, limit, waiting=waiting, after=after
        )

    @override
    def find_dead_letters(self, prefix: str) -> Sequence[DeadLetter]:
        return dead_letter_rows.find_dead_letters(self._connection, prefix)

    @override
    def mark_replayed(self, letter: str) -> bool:
        return dead_letter_rows.mark_replayed(self._connection, letter, self.now)

    @override
    def restate_dead_letter(self, letter: str, reason: str, field: str) -> None:
        dead_letter_rows.restate_dead_letter(self._connection, letter, KNOWN.mask(reason), field)
