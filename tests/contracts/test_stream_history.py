"""Every stream tells its past to whoever asks, and nobody's position moves."""

from engine.ports.stream import Kept, Message, ReadableStream, Record
from tests.contracts.test_stream import messages, read, records


async def history(stream: ReadableStream) -> list[Kept]:
    return [each async for each in stream.history(None)]


def by_partition(found: list[Record]) -> dict[int, list[Record]]:
    split: dict[int, list[Record]] = {}
    for each in found:
        split.setdefault(each.partition, []).append(each)
    return split


async def test_the_past_is_all_that_was_appended_in_the_order_of_each_partition(
    stream: ReadableStream,
) -> None:
    await stream.append(messages(3_000))
    consumed = by_partition(records(await read(stream, 3_000)))
    told = await history(stream)
    assert by_partition([each.record for each in told]) == consumed
    first = {each.record.partition: each.record.offset for each in told if each.is_first}
    assert first == dict.fromkeys(consumed, 0)


async def test_asking_for_the_past_takes_no_partition_from_anybody(stream: ReadableStream) -> None:
    await stream.append([Message("k", b"1")])
    before = len(await history(stream))
    assert len(records(await read(stream, 1))) == 1
    assert (before, len(await history(stream))) == (1, 1)


async def test_an_empty_stream_has_no_past(stream: ReadableStream) -> None:
    assert await history(stream) == []
