"""A stream of one partition in memory, read by whoever rehearses."""

from collections.abc import Sequence

from typing_extensions import override

from engine.ports.stream import Appendable, Message, Record

PARTITION = 0


class RecordLog(Appendable):
    """Keeps what is appended, in order; a record is its place in the list."""

    name = "rehearsal"

    def __init__(self) -> None:
        self._records: list[Record] = []

    @override
    async def append(self, messages: Sequence[Message]) -> None:
        for message in messages:
            place = len(self._records)
            self._records.append(Record(PARTITION, place, message.key, message.value))

    def after(self, offset: int) -> Sequence[Record]:
        """The records from `offset` on."""
        return self._records[offset:]
