"""Groups, holds and inhibitors on each database."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

from engine.core.conditions import GroupState, Hold, Mark
from engine.ports.conditions import Waiting
from engine.ports.store import Store, Tx
from tests.services.stores import START, Database

DEADLINE_S = 30.0
HELD = Hold("down", "window", START, waits_for="group")


async def test_what_a_group_counts_is_kept(database: Database) -> None:
    state = GroupState("g", (Mark("a", START),), "down", {"service": "größe"}, START)
    async with database.opened() as store:
        assert await store.read(lambda tx: tx.conditions.group("g")) == GroupState("g")
        await store.write(lambda tx: tx.conditions.put_group(state))
    async with database.opened() as store:
        assert await store.read(lambda tx: tx.conditions.group("g")) == state
        before = START - timedelta(days=1)
        assert await store.write(lambda tx: tx.conditions.forget_groups(before, 10)) == 0
        after = START + timedelta(days=10_000)
        assert await store.write(lambda tx: tx.conditions.forget_groups(after, 10)) == 1
        assert await store.read(lambda tx: tx.conditions.group("g")) == GroupState("g")


async def test_two_that_count_at_the_same_time_lose_nothing(store: Store) -> None:
    def count(name: str, tx: Tx) -> None:
        state = tx.conditions.group("g")
        tx.conditions.put_group(replace(state, marks=(*state.marks, Mark(name, START))))

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        for n in range(20):
            group.create_task(store.write(partial(count, str(n))))
    found = await store.read(lambda tx: tx.conditions.group("g"))
    assert {mark.of for mark in found.marks} == {str(n) for n in range(20)}


async def test_holds_are_replaced_as_a_whole_and_found_by_what_they_wait_for(store: Store) -> None:
    later = replace(HELD, since=START + timedelta(seconds=1), part=2)

    def hold(tx: Tx) -> None:
        tx.conditions.put_holds("f1", "p1", [later, replace(HELD, rule_id="x", waits_for="y")])
        tx.conditions.put_holds("f0", "p0", [HELD])

    await store.write(hold)
    found = await store.read(lambda tx: tx.conditions.waiting("group"))
    assert found == [Waiting("f0", "p0", "window"), Waiting("f1", "p1", "window")]
    assert await store.read(lambda tx: tx.conditions.parts("group")) == {-1, 2}
    assert await store.read(lambda tx: len(tx.conditions.holds_of("f1"))) == 2
    assert await store.read(lambda tx: tx.conditions.held(1)) == [("f1", later)]
    await store.write(lambda tx: tx.conditions.put_holds("f1", "p1", []))
    assert await store.read(lambda tx: tx.conditions.holds_of("f1")) == []


async def test_what_inhibits_is_found_by_any_of_its_keys_but_not_for_itself(store: Store) -> None:
    await store.write(lambda tx: tx.conditions.inhibit("f1", ["a", "b"]))
    await store.write(lambda tx: tx.conditions.inhibit("f1", ["a"]))

    async def inhibiting(*keys: str, but: str = "") -> tuple[str, str] | None:
        return await store.read(lambda tx: tx.conditions.inhibiting(keys, but=but))

    assert await inhibiting("x", "b") == ("b", "f1")
    assert await inhibiting("a", but="f1") is None
    assert await inhibiting() is None
    await store.write(lambda tx: tx.conditions.stop_inhibiting("f1"))
    assert await inhibiting("a", "b") is None
