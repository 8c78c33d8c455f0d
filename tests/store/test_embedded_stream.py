"""What the embedded stream adds to the port; tests/contracts/test_stream.py has the rest."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from engine.errors import FullError, PermanentError, TransientError
from engine.ports.stream import Message
from engine.store.embedded_stream import MAX_RECORD_BYTES, EmbeddedStream, partition_of
from tests.services.stores import START

DEADLINE_S = 20.0


class Positions:
    def __init__(self, **offsets: int) -> None:
        self.offsets = {int(p[1:]): offset for p, offset in offsets.items()}

    async def __call__(self, partitions: Sequence[int]) -> Mapping[int, int]:
        return {p: self.offsets.get(p, 0) for p in partitions}


@pytest.fixture
async def stream(tmp_path: Path) -> AsyncIterator[EmbeddedStream]:
    stream = EmbeddedStream(tmp_path / "stream.db")
    await stream.open()
    async with asyncio.timeout(DEADLINE_S):
        yield stream
    await stream.close()


def test_a_key_has_the_same_partition_in_every_process() -> None:
    assert partition_of("123456789", 2**32) == 0xCBF43926, "CRC-32's published check value"
    assert {partition_of(f"key {n}", 4) for n in range(50)} == {0, 1, 2, 3}
    assert partition_of("\ud800", 4) in range(4)


async def test_two_subscriptions_share_the_partitions_and_inherit_them(
    stream: EmbeddedStream,
) -> None:
    keys = [next(f"k{n}" for n in range(99) if partition_of(f"k{n}", 4) == p) for p in range(4)]
    await stream.append([Message(key, key.encode()) for key in keys])
    positions = Positions()
    async with stream.subscribe(positions, max_records=10) as first:
        async with stream.subscribe(positions, max_records=10) as second:
            of_first, of_second = aiter(first.batches()), aiter(second.batches())
            assert {(await anext(of_first)).partition for _ in range(2)} == {0, 2}
            assert {(await anext(of_second)).partition for _ in range(2)} == {1, 3}
        # The second left without commits, so its share starts again at the store's positions.
        assert {(await anext(of_first)).partition for _ in range(2)} == {1, 3}


async def test_a_partition_that_cannot_go_on_stops_alone_and_loudly(stream: EmbeddedStream) -> None:
    keys = [next(f"k{n}" for n in range(99) if partition_of(f"k{n}", 4) == p) for p in range(4)]
    await stream.append([Message(keys[1], b"a"), Message(keys[2], b"b")])
    async with stream.subscribe(Positions(p1=5), max_records=10) as subscription:
        with pytest.raises(PermanentError, match=r"partition 1 .* go on at 5 and holds 0 to 1"):
            async for batch in subscription.batches():
                assert batch.partition == 2
        await stream.append([Message(keys[1], b"c"), Message(keys[2], b"d")])
        batches = aiter(subscription.batches())
        assert (await anext(batches)).partition == 2
        await subscription.rewind(1, 0)
        found = [await anext(batches) for _ in range(1)]
        while found[-1].partition != 1:
            found.append(await anext(batches))
        assert [record.value for record in found[-1].records] == [b"a", b"c"]


async def test_the_name_is_that_of_the_file(tmp_path: Path) -> None:
    names = []
    for path in ("a.db", "a.db", "b.db"):
        stream = EmbeddedStream(tmp_path / path)
        await stream.open()
        names.append(stream.name)
        await stream.close()
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("embedded@")


async def test_processed_records_are_trimmed(stream: EmbeddedStream) -> None:
    await stream.append([Message("k", b"x") for _ in range(5000)])
    partition = partition_of("k", 4)
    assert await stream.trim({partition: 4500, 3 - partition: 0}) == 4500
    assert (await stream.end_offsets())[partition] == 5000
    positions = Positions(**{f"p{partition}": 4500})
    async with stream.subscribe(positions, max_records=1000) as subscription:
        assert len((await anext(subscription.batches())).records) == 500


KEEP = timedelta(days=7)


async def ends(stream: EmbeddedStream) -> tuple[int, int]:
    partition = partition_of("k", 4)
    return stream.start(partition), stream.end(partition)


async def test_what_was_decided_on_goes_when_it_is_old_and_nothing_else_does(
    stream: EmbeddedStream,
) -> None:
    partition, now = partition_of("k", 4), START
    for _ in range(10):  # ten days with two records each
        await stream.append([Message("k", b"x"), Message("k", b"y")])
        now += timedelta(days=1)
        await stream.sweep({partition: 5}, now, KEEP)
    assert await ends(stream) == (5, 20), "what isn't decided on stays, however old"
    assert await stream.sweep({partition: 20}, now, KEEP) == 1
    assert await ends(stream) == (6, 20)
    assert await stream.sweep({partition: 20}, now + timedelta(days=99), KEEP) == 14
    assert await ends(stream) == (20, 20)
    positions = Positions(**{f"p{partition}": 20})
    async with stream.subscribe(positions, max_records=10) as subscription:
        await stream.append([Message("k", b"z")])
        assert [each.offset for each in (await anext(subscription.batches())).records] == [20]


async def test_a_stream_that_was_never_swept_loses_nothing_at_once(stream: EmbeddedStream) -> None:
    """Records of before have no time, so theirs is that of the first sweep."""
    partition = partition_of("k", 4)
    await stream.append([Message("k", b"x")] * 3)
    assert await stream.sweep({partition: 3}, START, KEEP) == 0
    assert await stream.sweep({partition: 3}, START + KEEP - timedelta(seconds=1), KEEP) == 0
    assert await stream.sweep({partition: 3}, START + KEEP, KEEP) == 3


async def test_where_room_is_short_the_oldest_go_early(tmp_path: Path) -> None:
    stream = EmbeddedStream(tmp_path / "stream.db", max_bytes=20_000_000)
    await stream.open()
    keys = {partition_of(f"k{n}", 4): f"k{n}" for n in range(99)}
    for partition, records in ((0, 10_000), (1, 6_000), (2, 2_000)):
        for _ in range(0, records, 500):
            await stream.append([Message(keys[partition], bytes(1_000))] * 500)
    decided = {0: 10_000, 1: 6_000, 2: 100}
    assert await stream.sweep(decided, START, KEEP) >= 500
    starts = {p: stream.start(p) for p in range(4)}
    assert starts[0] > 0, "the longest is the first to go"
    assert starts[2] == starts[3] == 0
    assert await stream.sweep(decided, START, KEEP) == 0, "and no more than that"
    await stream.append([Message(keys[3], bytes(1_000))] * 1_000)
    await stream.close()


async def test_what_is_not_decided_on_stays_in_a_full_stream(tmp_path: Path) -> None:
    stream = EmbeddedStream(tmp_path / "stream.db", max_bytes=1_000_000)
    await stream.open()
    await stream.append([Message("k", bytes(1_000))] * 900)
    partition = partition_of("k", 4)
    assert await stream.sweep({partition: 10}, START, KEEP) == 10
    assert await ends(stream) == (10, 900)
    with pytest.raises(FullError, match="not decided on yet"):
        await stream.append([Message("k", bytes(200_000))])
    await stream.close()


async def test_a_full_stream_refuses_and_says_so(tmp_path: Path) -> None:
    stream = EmbeddedStream(tmp_path / "stream.db", max_bytes=300_000)
    await stream.open()
    with pytest.raises(TransientError, match="full"):
        for _ in range(10):
            await stream.append([Message("k", bytes(100_000))])
    await stream.check()  # a small one still fits
    await stream.append([Message("k", b"small")])
    await stream.close()


async def test_the_largest_record_passes_and_a_larger_one_does_not(stream: EmbeddedStream) -> None:
    await stream.append([Message("k", bytes(MAX_RECORD_BYTES - 1))])
    with pytest.raises(PermanentError, match="message 1 has 1048001 B"):
        await stream.append([Message("k", b""), Message("k", bytes(MAX_RECORD_BYTES))])


async def test_a_closed_stream_says_so(tmp_path: Path) -> None:
    stream = EmbeddedStream(tmp_path / "stream.db")
    with pytest.raises(TransientError, match="closed"):
        await stream.append([Message("k", b"")])
    await stream.open()
    await stream.close()
    for call in (stream.check(), stream.end_offsets(), stream.trim({})):
        with pytest.raises(TransientError, match="closed"):
            await call
