"""The rehearsal's stream keeps its order."""

from engine.ports.stream import Message, Record
from engine.rehearsal.record_log import PARTITION, RecordLog


async def test_records_come_in_the_order_in_which_they_were_appended() -> None:
    log = RecordLog()
    await log.append([Message("a", b"1"), Message("b", b"2")])
    await log.append([Message("a", b"3")])
    assert log.after(1) == [Record(PARTITION, 1, "b", b"2"), Record(PARTITION, 2, "a", b"3")]
    assert log.after(3) == []
