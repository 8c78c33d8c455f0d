"""What every stream lets a subscription see of records whose turn hasn't come."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.ports.stream import Message, ReadableStream, Record, Subscription
from tests.services.streams import PARTITIONS, StoredPositions

DEADLINE_S = 30.0


async def filled_partition(stream: ReadableStream, count: int) -> int:
    """The partition that so many numbered records of one key came to."""
    await stream.append([Message("one-key", str(n).encode()) for n in range(count)])
    (partition,) = [p for p, end in (await stream.end_offsets()).items() if end]
    return partition


@asynccontextmanager
async def joined(stream: ReadableStream, positions: StoredPositions) -> AsyncIterator[Subscription]:
    """A subscription whose first batch, of 10 records, was decided on."""
    async with (
        asyncio.timeout(DEADLINE_S),
        stream.subscribe(positions, max_records=10) as subscription,
    ):
        positions.commit(await anext(subscription.batches()))
        yield subscription


async def seen(subscription: Subscription, partition: int, offset: int, count: int) -> list[Record]:
    """So many records from `offset` on, as they come to hand."""
    found: list[Record] = []
    while len(found) < count:
        found += await subscription.ahead(partition, offset + len(found), count - len(found))
        await asyncio.sleep(0)
    return found


def numbers(records: list[Record]) -> list[int]:
    return [int(record.value) for record in records]


async def test_records_far_behind_are_seen_and_the_batches_go_on(stream: ReadableStream) -> None:
    partition, positions = await filled_partition(stream, 1000), StoredPositions()
    async with joined(stream, positions) as subscription:
        assert subscription.end(partition) == 1000
        ahead = await seen(subscription, partition, 10, 990)
        assert numbers(ahead) == list(range(10, 1000))
        assert {(each.partition, each.key) for each in ahead} == {(partition, "one-key")}
        assert [each.offset for each in ahead] == list(range(10, 1000))
        batch = await anext(subscription.batches())
        assert numbers(list(batch.records)) == list(range(10, 20))
        assert numbers(await seen(subscription, partition, 500, 3)) == [500, 501, 502]
        assert numbers(await seen(subscription, partition, 20, 2)) == [20, 21]


async def test_at_the_end_nothing_is_waited_for(stream: ReadableStream) -> None:
    partition, positions = await filled_partition(stream, 20), StoredPositions()
    async with joined(stream, positions) as subscription:
        await seen(subscription, partition, 10, 10)
        assert await subscription.ahead(partition, 20, 5) == []
        await stream.append([Message("one-key", b"20")])
        assert numbers(await seen(subscription, partition, 20, 1)) == [20]


async def test_what_is_not_there_is_not_seen(stream: ReadableStream) -> None:
    partition, positions = await filled_partition(stream, 20), StoredPositions()
    async with joined(stream, positions) as subscription:
        for _ in range(100):
            assert not await subscription.ahead(partition, 90, 5)
            await asyncio.sleep(0.01)
        assert numbers(await seen(subscription, partition, 10, 10)) == list(range(10, 20))


async def test_several_partitions_are_seen_by_turns(stream: ReadableStream) -> None:
    await stream.append([Message(f"key-{n % 50}", str(n).encode()) for n in range(2000)])
    ends = await stream.end_offsets()
    assert len(ends) == PARTITIONS
    positions, at = StoredPositions(), dict.fromkeys(ends, 0)
    async with joined(stream, positions) as subscription:
        while at != ends:
            for partition, offset in at.items():
                found = await subscription.ahead(partition, offset, 50)
                assert [each.offset for each in found] == list(range(offset, offset + len(found)))
                at[partition] += len(found)
            await asyncio.sleep(0)
