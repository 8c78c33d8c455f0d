"""Silences as documents, found by their end."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select
from typing_extensions import override

from engine.core.journal import to_us
from engine.core.silences import Silence
from engine.ports.silences import SilenceRows
from engine.store.codec import Codec
from engine.store.incident_rows import AFTER_ANY_ID
from engine.store.statements import bare_rows, upsert
from engine.store.tables import silences

SILENCES = Codec(Silence)

_PUT = upsert(silences)
_ENDING = (
    select(silences.c.document)
    .where(silences.c.ends_at_us > bindparam("at"))
    .order_by(silences.c.ends_at_us, silences.c.id)
)
_FIND = (
    select(silences.c.document)
    .where(silences.c.id >= bindparam("first"), silences.c.id < bindparam("after"))
    .order_by(silences.c.id)
    .limit(2)
)
_FORGET = delete(silences).where(silences.c.ends_at_us < bindparam("before"))


class SqlSilenceRows(SilenceRows):
    """Over the connection of one transaction, whose time is `now`."""

    def __init__(self, connection: Connection, now: Callable[[], datetime]) -> None:
        self._connection = connection
        self._now = now

    @override
    def current(self) -> Sequence[Silence]:
        return self.ending_after(self._now())

    @override
    def ending_after(self, at: datetime) -> Sequence[Silence]:
        found = bare_rows(self._connection, _ENDING, {"at": to_us(at)})
        return [SILENCES.decode(document) for (document,) in found]

    @override
    def put(self, silence: Silence) -> None:
        row = (silence.id, SILENCES.encode(silence), to_us(silence.ends_at))
        _PUT.put(self._connection, [row])

    @override
    def find(self, prefix: str) -> Sequence[Silence]:
        lowered = prefix.lower()
        if not lowered.isalnum():
            return ()
        asked = {"first": lowered, "after": lowered + AFTER_ANY_ID}
        return [SILENCES.decode(each) for each in self._connection.execute(_FIND, asked).scalars()]

    @override
    def forget(self, before: datetime) -> int:
        return self._connection.execute(_FORGET, {"before": to_us(before)}).rowcount
