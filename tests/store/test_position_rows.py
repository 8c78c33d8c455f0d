"""Positions and counters on each database."""

import asyncio

import pytest

from engine.errors import FencedError
from engine.ports.store import Store, Tx

DEADLINE_S = 30.0


async def test_a_position_moves_by_compare_and_set(store: Store) -> None:
    assert await store.read(lambda tx: tx.position("s", 1)) == 0
    await store.write(lambda tx: tx.advance("s", 1, 0, 10))
    await store.write(lambda tx: tx.advance("s", 1, 10, 15))
    with pytest.raises(FencedError, match="another consumer"):
        await store.write(lambda tx: tx.advance("s", 1, 0, 99))
    with pytest.raises(FencedError, match="another consumer"):
        await store.write(lambda tx: tx.advance("s", 1, 10, 99))
    with pytest.raises(FencedError):
        await store.write(lambda tx: tx.advance("s", 2, 7, 9))
    found = await store.read(
        lambda tx: [tx.position(s, p) for s, p in [("s", 1), ("s", 2), ("t", 1)]]
    )
    assert found == [15, 0, 0]


async def test_positions_of_a_stream_are_told_by_partition_and_log(store: Store) -> None:
    rows = [
        ("kafka/a@one", 0, 5),
        ("kafka/a@two", 0, 7),
        ("kafka/a", 1, 9),
        ("kafka/a@one", 1, 3),
        ("kafka/ab@one", 0, 11),
        ("kafka/a.b", 0, 12),
        ("kafka/A@one", 0, 13),
        ("kafka/aA", 0, 14),
    ]
    for log, partition, offset in rows:
        await store.write(lambda tx: tx.advance(log, partition, 0, offset))  # noqa: B023 - awaited
    for log in ("kafka/a@one", "kafka/a@three", "kafka/a"):
        found = await store.read(lambda tx: tx.positions(log))  # noqa: B023 - awaited at once
        assert found == {
            0: {"kafka/a@one": 5, "kafka/a@two": 7},
            1: {"kafka/a": 9, "kafka/a@one": 3},
        }
    assert await store.read(lambda tx: tx.positions("memory")) == {}


async def test_of_many_that_advance_one_position_one_succeeds(store: Store) -> None:
    async def advance() -> bool:
        try:
            await store.write(lambda tx: tx.advance("s", 0, 0, 5))
        except FencedError:
            return False
        return True

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        tries = [group.create_task(advance()) for _ in range(12)]
    assert sum(each.result() for each in tries) == 1


async def test_counters_add_up_over_concurrent_transactions(store: Store) -> None:
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(store.write(lambda tx: tx.count({"a": 1, "b": 3, "none": 0})))
    assert await store.read(lambda tx: dict(tx.counters())) == {"a": 40, "b": 120}


async def test_a_transaction_sees_what_it_counted(store: Store) -> None:
    def work(tx: Tx) -> dict[str, int]:
        tx.count({"a": 2})
        tx.count({"a": 3})
        return dict(tx.counters())

    assert await store.write(work) == {"a": 5}
    assert await store.read(lambda tx: dict(tx.counters())) == {"a": 5}
