"""What every stream promises, shown on each implementation; Kafka on a real broker."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.errors import PermanentError
from engine.ports.stream import Batch, Message, Record, Stream
from tests.services.streams import PARTITIONS, Log, StoredPositions

DEADLINE_S = 30.0


def messages(count: int, *, keys: int = 8) -> list[Message]:
    return [Message(f"service-{n % keys}", str(n).encode()) for n in range(count)]


async def read(
    stream: Stream, count: int, positions: StoredPositions | None = None, max_records: int = 100
) -> list[Batch]:
    """Read and commit batches of a new subscription until there were `count` records."""
    positions = StoredPositions() if positions is None else positions
    found: list[Batch] = []
    async with (
        asyncio.timeout(DEADLINE_S),
        stream.subscribe(positions, max_records=max_records) as subscription,
    ):
        async for batch in subscription.batches():
            positions.commit(batch)
            found.append(batch)
            if len(records(found)) >= count:
                break
    return found


def records(batches: Sequence[Batch]) -> list[Record]:
    return [record for batch in batches for record in batch.records]


def values(batches: Sequence[Batch]) -> list[int]:
    return [int(record.value) for record in records(batches)]


async def test_records_of_a_key_come_back_in_order_from_one_partition(stream: Stream) -> None:
    sent = messages(500)
    for start in range(0, 500, 100):
        await stream.append(sent[start : start + 100])
    found = records(await read(stream, 500))
    assert len(found) == 500
    for key in {message.key for message in sent}:
        of_key = [record for record in found if record.key == key]
        assert [record.value for record in of_key] == [m.value for m in sent if m.key == key]
        assert len({record.partition for record in of_key}) == 1
    assert len({record.partition for record in found}) > 1


@pytest.mark.parametrize("max_records", [1, 7, 1000])
async def test_a_batch_is_a_few_consecutive_records_of_one_partition(
    stream: Stream, max_records: int
) -> None:
    await stream.append(messages(60))
    found = await read(stream, 60, max_records=max_records)
    assert sorted(values(found)) == list(range(60))
    expected: dict[int, int] = {}
    for batch in found:
        offsets = [record.offset for record in batch.records]
        assert 1 <= len(offsets) <= max_records
        assert {record.partition for record in batch.records} == {batch.partition}
        first = expected.get(batch.partition, 0)
        assert offsets == list(range(first, first + len(offsets)))
        expected[batch.partition] = batch.next_offset


@pytest.mark.parametrize("skipped", [0, 3, 20], ids=["from-the-start", "from-within", "at-the-end"])
async def test_the_position_alone_decides_where_reading_starts(
    stream: Stream, skipped: int
) -> None:
    await stream.append([Message("one-key", str(n).encode()) for n in range(20)])
    await read(stream, 20)  # another subscription read all, and that counts for nothing
    (partition,) = [p for p, end in (await stream.end_offsets()).items() if end]
    await stream.append([Message("one-key", b"20")])
    found = await read(stream, 21 - skipped, StoredPositions({partition: skipped}))
    assert values(found) == list(range(skipped, 21))


async def test_an_append_reaches_a_subscription_that_waits(stream: Stream) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        stream.subscribe(StoredPositions(), max_records=10) as subscription,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(stream.append([Message("late", b"1")]))
        assert values([await anext(subscription.batches())]) == [1]


async def test_what_the_caller_did_not_commit_comes_again(stream: Stream) -> None:
    await stream.append(messages(40))
    positions = StoredPositions()
    async with (
        asyncio.timeout(DEADLINE_S),
        stream.subscribe(positions, max_records=5) as subscription,
    ):
        batches = aiter(subscription.batches())
        committed = await anext(batches)
        positions.commit(committed)
        await anext(batches)
        await anext(batches)
    again = await read(stream, 40 - len(committed.records), positions)
    assert sorted(values([committed, *again])) == list(range(40))


async def test_a_rewind_reads_again_and_goes_on(stream: Stream) -> None:
    await stream.append([Message("one-key", str(n).encode()) for n in range(30)])
    seen: list[int] = []
    async with (
        asyncio.timeout(DEADLINE_S),
        stream.subscribe(StoredPositions(), max_records=10) as subscription,
    ):
        rewound = False
        async for batch in subscription.batches():
            seen += values([batch])
            if not rewound and len(seen) >= 20:
                await subscription.rewind(batch.partition, 5)
                rewound = True
            if seen[-1] == 29:
                break
    first = seen[: seen.index(5, 6)]
    assert first == list(range(len(first)))
    assert seen[len(first) :] == list(range(5, 30))


async def test_a_rewind_of_a_partition_that_is_not_assigned_does_nothing(stream: Stream) -> None:
    await stream.append(messages(10))
    async with (
        asyncio.timeout(DEADLINE_S),
        stream.subscribe(StoredPositions(), max_records=1) as subscription,
    ):
        batches = aiter(subscription.batches())
        found = [await anext(batches)]
        await subscription.rewind(PARTITIONS + 5, 0)
        found += [await anext(batches) for _ in range(9)]
    assert sorted(values(found)) == list(range(10))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("größe-模型-🚨", "värde".encode()),
        ("", b"no key"),
        ("empty-value", b""),
        ("binary", bytes(range(256))),
        ("k" * 2000, b"a long key"),
    ],
    ids=["unicode", "empty-key", "empty-value", "binary", "long-key"],
)
async def test_keys_and_values_come_back_as_they_were(
    stream: Stream, key: str, value: bytes
) -> None:
    await stream.append([Message(key, value)])
    (record,) = records(await read(stream, 1))
    assert (record.key, record.value) == (key, value)


@pytest.mark.parametrize("key", ["service-0", "größe-🚨", ""], ids=["ascii", "unicode", "empty"])
async def test_where_a_key_is_can_be_told_before(stream: Stream, key: str) -> None:
    told = stream.partition_of(key)
    await stream.append([Message(key, b"1")])
    (record,) = records(await read(stream, 1))
    assert record.partition == told


async def test_a_record_of_nearly_a_megabyte_passes(stream: Stream) -> None:
    large = bytes(range(250)) * 4000
    await stream.append([Message("a", b"before"), Message("a", large), Message("a", b"after")])
    found = records(await read(stream, 3))
    assert [record.value for record in found] == [b"before", large, b"after"]


@pytest.mark.parametrize(
    "impossible",
    [Message("a", bytes(100 * 1024 * 1024)), Message("half a pair: \ud83d", b"value")],
    ids=["too-large", "key-is-no-text"],
)
async def test_an_impossible_record_is_refused_with_all_its_append(
    stream: Stream, impossible: Message
) -> None:
    with pytest.raises(PermanentError):
        await stream.append([Message("a", b"small"), impossible])
    assert set((await stream.end_offsets()).values()) == {0}
    await stream.append([Message("a", b"1")])
    assert values(await read(stream, 1)) == [1]


async def test_concurrent_small_appends_are_all_there_once(stream: Stream) -> None:
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        for message in messages(400, keys=50):
            group.create_task(stream.append([message]))
    assert sum((await stream.end_offsets()).values()) == 400
    assert sorted(values(await read(stream, 400))) == list(range(400))


async def test_end_offsets_name_every_partition_and_follow_the_appends(stream: Stream) -> None:
    assert await stream.end_offsets() == dict.fromkeys(range(PARTITIONS), 0)
    await stream.append(messages(25))
    positions = StoredPositions()
    await read(stream, 25, positions)
    assert {p: end for p, end in (await stream.end_offsets()).items() if end} == positions.offsets


async def test_an_empty_append_changes_nothing(stream: Stream) -> None:
    await stream.append([])
    assert set((await stream.end_offsets()).values()) == {0}


async def test_a_lone_subscription_has_every_partition(stream: Stream) -> None:
    await stream.append(messages(1))
    async with (
        asyncio.timeout(DEADLINE_S),
        stream.subscribe(StoredPositions(), max_records=1) as subscription,
    ):
        await anext(subscription.batches())
        assert subscription.assigned == frozenset(range(PARTITIONS))


async def test_leaving_the_context_gives_the_partitions_back(stream: Stream) -> None:
    await stream.append(messages(10))
    with pytest.raises(ZeroDivisionError):
        async with stream.subscribe(StoredPositions(), max_records=1) as subscription:
            await anext(subscription.batches())
            raise ZeroDivisionError
    # Well before a member that was lost without a word would be missed.
    async with asyncio.timeout(5):
        assert len(records(await read(stream, 10))) == 10


async def test_a_stream_that_works_passes_its_check(stream: Stream) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await stream.check()


async def test_an_append_that_returned_outlives_its_process(log: Log, tmp_path: Path) -> None:
    program = f"""
import asyncio, os, signal
from engine.ports.stream import Message
{log.construction}
async def main():
    await stream.open()
    await stream.append([Message(f"service-{{n % 8}}", str(n).encode()) for n in range(50)])
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    async with log.opened():
        pass  # what has to be created is there
    async with asyncio.timeout(DEADLINE_S):
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
        assert await child.wait() == -9
    async with log.opened() as stream:
        assert sorted(values(await read(stream, 50))) == list(range(50))


async def test_two_subscribers_share_the_partitions(stream: Stream) -> None:
    positions = StoredPositions()
    owners: dict[int, set[int]] = {0: set(), 1: set()}
    found: list[int] = []

    async def consume(me: int) -> None:
        async with stream.subscribe(positions, max_records=10) as subscription:
            async for batch in subscription.batches():
                if positions.offsets.get(batch.partition, 0) != batch.records[0].offset:
                    continue  # fenced, as the store would: the partition has a new owner
                positions.commit(batch)
                found.extend(values([batch]))
                owners[me].add(batch.partition)
                if all(owners.values()):
                    shared.set()

    shared = asyncio.Event()
    sent = 0
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        consumers = [group.create_task(consume(me)) for me in owners]
        while not shared.is_set() or len(found) < sent:
            if not shared.is_set():
                await stream.append(
                    [Message(f"k{n}", str(n).encode()) for n in range(sent, sent + 20)]
                )
                sent += 20
            await asyncio.sleep(0.02)
        for consumer in consumers:
            consumer.cancel()
    assert sorted(found) == list(range(sent))
