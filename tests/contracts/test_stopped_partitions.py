"""What every stream does with a partition that can't be read on: it waits for a person, alone."""

import asyncio

import pytest

from engine.errors import StoppedError
from engine.ports.stream import Batch, KeptStream, Message
from tests.services.streams import PARTITIONS, StoredPositions

DEADLINE_S = 30.0


async def filled_partition(stream: KeptStream, *values: int) -> int:
    """The partition that these records of one key came to."""
    await stream.append([Message("one-key", str(value).encode()) for value in values])
    (partition,) = [p for p, end in (await stream.end_offsets()).items() if end]
    return partition


def values(batch: Batch) -> list[int]:
    return [int(record.value) for record in batch.records]


async def test_first_offsets_name_every_partition(stream: KeptStream) -> None:
    await stream.append([Message(f"key-{n}", b"value") for n in range(25)])
    assert await stream.first_offsets() == dict.fromkeys(range(PARTITIONS), 0)


async def test_a_position_that_has_no_record_stops_its_partition_until_it_is_set(
    stream: KeptStream,
) -> None:
    partition = await filled_partition(stream, 0, 1, 2)
    positions = StoredPositions({partition: 7})
    async with (
        asyncio.timeout(DEADLINE_S),
        stream.subscribe(positions, max_records=10) as subscription,
    ):
        with pytest.raises(StoppedError, match="go on at 7 and holds 0 to 3") as raised:
            await anext(subscription.batches())
        assert set(raised.value.reasons) == {partition}
        assert f"quell positions set {partition} first" in str(raised.value)
        positions.offsets[partition] = 1
        assert values(await anext(subscription.batches())) == [1, 2]


async def test_a_partition_that_the_store_refuses_is_held_still_until_it_answers(
    stream: KeptStream,
) -> None:
    refused = await filled_partition(stream, 0, 1)
    positions = StoredPositions(refused={refused})
    async with (
        asyncio.timeout(DEADLINE_S),
        stream.subscribe(positions, max_records=10) as subscription,
    ):
        batches = aiter(subscription.batches())
        other = 0
        while not any(end for p, end in (await stream.end_offsets()).items() if p != refused):
            other += 1
            await stream.append([Message(f"other-{other}", b"100")])
        found = values(await anext(batches))
        assert set(found) == {100}
        positions.refused.clear()
        while found[-1] == 100:
            found += values(await anext(batches))
        assert [value for value in found if value != 100] == [0, 1]
