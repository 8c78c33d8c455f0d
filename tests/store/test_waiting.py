"""Waiting for work, on each database and with several waiters."""

import asyncio

import pytest

from engine.ports.store import Store, Tx
from tests.store.values import LEASE_S, PAST, a_task, claim, claimed, put

DEADLINE_S = 30.0


@pytest.mark.parametrize("change", ["put", "woken", "released"])
async def test_a_wait_ends_when_a_task_changes(
    store: Store, other_store: Store, change: str
) -> None:
    await put(store, a_task())
    task = await claimed(store)

    def work(tx: Tx) -> None:
        match change:
            case "put":
                tx.put_task(a_task("b"))
            case "woken":
                tx.wake_task("run", "a")
            case _:
                tx.release_task(task, PAST)

    async def wait_for_news() -> None:
        await other_store.wait_for_work(600)  # a task's first wait returns at once
        await other_store.wait_for_work(600)

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        waiter = group.create_task(wait_for_news())
        await store.read(lambda tx: tx.next_due(["run"]))  # the waiter waits, or will hear of it
        assert not waiter.done()
        await store.write(work)


async def test_a_commit_between_the_look_and_the_wait_is_not_missed(store: Store) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await store.wait_for_work(0.01)
        assert await claim(store) is None
        await put(store, a_task())
        await store.wait_for_work(600)


async def test_a_wait_without_news_ends_with_its_time(store: Store) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await store.wait_for_work(600)
        await store.wait_for_work(0.02)
        await store.wait_for_work(0.02)


async def test_commits_without_tasks_wake_nobody(store: Store) -> None:
    await put(store, a_task())
    task = await claimed(store)
    await store.wait_for_work(0.01)
    await store.write(lambda tx: tx.count({"a": 1}))
    await store.write(lambda tx: tx.hold_task(task, LEASE_S))
    await store.write(lambda tx: tx.finish_task(task))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await store.wait_for_work(600)
