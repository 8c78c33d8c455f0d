"""What is noted as decided ahead, on each database."""

import asyncio

import pytest

from engine.errors import FencedError
from engine.ports.store import Store, Tx

DEADLINE_S = 30.0


async def test_what_is_noted_is_taken_once_up_to_an_offset(store: Store) -> None:
    await store.write(lambda tx: tx.ahead.note("s", 1, {7: "a", 9: "b"}))
    await store.write(lambda tx: tx.ahead.note("s", 1, {12: "c"}))
    await store.write(lambda tx: tx.ahead.note("s", 2, {7: "d"}))
    await store.write(lambda tx: tx.ahead.note("t", 1, {7: "e"}))
    await store.write(lambda tx: tx.ahead.note("s", 1, {}))
    assert await store.read(lambda tx: tx.ahead.of_log("s")) == {
        1: {7: "a", 9: "b", 12: "c"},
        2: {7: "d"},
    }
    assert await store.write(lambda tx: tx.ahead.take("s", 1, 12)) == {7: "a", 9: "b"}
    assert await store.write(lambda tx: tx.ahead.take("s", 1, 12)) == {}
    assert await store.read(lambda tx: tx.ahead.of_log("s")) == {1: {12: "c"}, 2: {7: "d"}}


async def test_a_position_that_stays_is_held_all_the_same(store: Store) -> None:
    await store.write(lambda tx: tx.advance("s", 0, 0, 0))
    await store.write(lambda tx: tx.advance("s", 0, 0, 5))
    await store.write(lambda tx: tx.advance("s", 0, 5, 5))
    with pytest.raises(FencedError):
        await store.write(lambda tx: tx.advance("s", 0, 0, 0))
    assert await store.read(lambda tx: tx.position("s", 0)) == 5


async def test_who_moves_a_position_sees_what_was_noted_at_it(store: Store) -> None:
    def note(tx: Tx) -> None:
        tx.advance("s", 0, 5, 5)
        noted = len(tx.ahead.of_log("s").get(0, {}))
        tx.ahead.note("s", 0, {10 + noted: "hash"})

    def take(tx: Tx) -> int:
        tx.advance("s", 0, 5, 20)
        return len(tx.ahead.take("s", 0, 20))

    await store.write(lambda tx: tx.advance("s", 0, 0, 5))
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        noting = [group.create_task(store.write(note)) for _ in range(8)]
    assert len(noting) == 8
    assert set((await store.read(lambda tx: tx.ahead.of_log("s")))[0]) == set(range(10, 18))
    assert await store.write(take) == 8
