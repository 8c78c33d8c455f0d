"""Tasks on each database: leases, fencing, and that nothing put or woken is lost."""

import asyncio
from datetime import datetime, timedelta

import pytest

from engine.core.events import IncidentAcknowledged
from engine.core.journal import NewEntry
from engine.errors import FencedError, QuellError
from engine.ports.rows import Task
from engine.ports.store import Store, Tx
from tests.services.stores import START, Database
from tests.store.values import LEASE_S, PAST, a_task, claim, claimed, finishing, put

DEADLINE_S = 30.0


async def test_a_claim_returns_the_task_with_a_token(store: Store) -> None:
    await put(store, a_task(payload={"incident_id": "größe", "n": [1, 2.5, None, True]}))
    task = await claimed(store)
    assert task == a_task(
        payload={"incident_id": "größe", "n": [1, 2.5, None, True]}, token=task.token
    )
    assert task.token > 0
    assert await claim(store) is None


async def test_the_most_urgent_due_task_of_the_asked_kinds_comes_first(store: Store) -> None:
    future = await store.read(lambda tx: tx.now + timedelta(hours=1))
    await put(
        store,
        a_task("p4", priority=4, not_before=PAST - timedelta(days=9)),
        a_task("p2", priority=2, not_before=PAST + timedelta(days=1)),
        a_task("p2-first", priority=2),
        a_task("p1-later", priority=1, not_before=future),
        a_task("other-kind", kind="ticket", priority=1),
        a_task("p1", kind="message", priority=1),
    )
    order = []
    while (task := await claim(store)) is not None:
        order.append(task.key)
    assert order == ["p1", "p2-first", "p2", "p4"]


async def test_tokens_rise_over_leases_and_over_new_tasks_of_the_same_key(
    database: Database, store: Store
) -> None:
    tokens = []
    await put(store, a_task())
    tokens.append((await claimed(store)).token)
    await database.elapse(LEASE_S + 1)
    tokens.append((task := await claimed(store)).token)
    await store.write(lambda tx: tx.finish_task(task))
    await put(store, a_task())
    tokens.append((await claimed(store)).token)
    assert tokens == sorted(set(tokens))


async def test_a_lease_that_ran_out_is_taken_over_and_its_holder_fenced(
    database: Database, store: Store, other_store: Store
) -> None:
    await put(store, a_task())
    first = await claimed(store, "w1")
    await database.elapse(LEASE_S - 1)
    assert await claim(other_store, "w2") is None
    await store.write(lambda tx: tx.hold_task(first))
    await database.elapse(2)
    with pytest.raises(FencedError, match="run/a"):
        await store.write(lambda tx: tx.hold_task(first))
    second = await claimed(other_store, "w2")
    assert second.token > first.token
    for stale in (
        lambda tx: tx.hold_task(first),
        lambda tx: tx.hold_task(first, LEASE_S),
        lambda tx: tx.finish_task(first),
        lambda tx: tx.release_task(first, PAST),
    ):
        with pytest.raises(FencedError, match="run/a"):
            await store.write(stale)
    await other_store.write(lambda tx: tx.hold_task(second))
    await other_store.write(lambda tx: tx.finish_task(second))
    assert await store.read(lambda tx: tx.next_due(["run"])) is None


async def test_a_fenced_worker_leaves_nothing(database: Database, store: Store) -> None:
    await put(store, a_task())
    task = await claimed(store)
    await database.elapse(LEASE_S + 1)

    def work(tx: Tx) -> None:
        tx.append("system", [NewEntry(IncidentAcknowledged(), START)])
        tx.hold_task(task)

    with pytest.raises(FencedError):
        await store.write(work)
    assert await store.read(lambda tx: dict(tx.heads())) == {}


async def test_a_lease_that_is_extended_lasts(database: Database, store: Store) -> None:
    await put(store, a_task())
    task = await claimed(store)
    for _ in range(4):
        await database.elapse(LEASE_S - 1)
        await store.write(lambda tx: tx.hold_task(task, LEASE_S))
    assert await claim(store, "w2") is None
    await store.write(lambda tx: tx.finish_task(task))


async def test_a_finished_task_is_gone(store: Store) -> None:
    await put(store, a_task())
    task = await claimed(store)
    await store.write(lambda tx: tx.finish_task(task))
    assert await store.read(lambda tx: tx.next_due(["run"])) is None
    with pytest.raises(FencedError):
        await store.write(lambda tx: tx.finish_task(task))


@pytest.mark.parametrize("how", ["put", "woken", "put-and-woken"])
@pytest.mark.parametrize("end", ["finish", "release", "failed"])
async def test_what_comes_during_a_lease_is_not_lost(store: Store, how: str, end: str) -> None:
    await put(store, a_task())
    task = await claimed(store)
    if how != "woken":
        await put(store, a_task(payload={"news": True}))
    if how != "put":
        await store.write(lambda tx: tx.wake_task("run", "a"))
    assert await claim(store, "w2") is None, "the lease holds"

    def work(tx: Tx) -> None:
        tx.hold_task(task)
        if end == "finish":
            tx.finish_task(task)
        else:
            tx.release_task(task, tx.now + timedelta(hours=1), failed=end == "failed")

    await store.write(work)
    again = await claimed(store)
    assert again.payload == ({"incident_id": "i1"} if how == "woken" else {"news": True})
    assert again.failures == (1 if end == "failed" else 0)


async def test_what_came_before_the_claim_is_seen_by_it(store: Store) -> None:
    await put(store, a_task())
    await put(store, a_task(payload={"n": 2}))
    await store.write(lambda tx: tx.wake_task("run", "a"))
    task = await claimed(store)
    assert task.payload == {"n": 2}
    await store.write(lambda tx: tx.finish_task(task))
    assert await claim(store) is None


async def test_a_released_task_waits_and_counts_its_failures(
    database: Database, store: Store
) -> None:
    await put(store, a_task())

    async def fail_with(failures: int) -> None:
        task = await claimed(store)
        assert task.failures == failures
        minute = timedelta(minutes=1)
        await store.write(lambda tx: tx.release_task(task, tx.now + minute, failed=True))
        assert await claim(store) is None
        await database.elapse(61)

    for failures in range(3):
        await fail_with(failures)
    task = await claimed(store)
    await store.write(lambda tx: tx.release_task(task, PAST))
    assert (await claimed(store)).failures == 0


async def test_waking_ends_any_wait(store: Store) -> None:
    future = await store.read(lambda tx: tx.now + timedelta(days=9))
    await put(store, a_task(not_before=future))
    await store.write(lambda tx: tx.wake_task("run", "absent"))
    assert await claim(store) is None
    await store.write(lambda tx: tx.wake_task("run", "a"))
    assert (await claimed(store)).key == "a"


async def test_a_put_moves_a_waiting_task(database: Database, store: Store) -> None:
    future = await store.read(lambda tx: tx.now + timedelta(minutes=10))
    await put(store, a_task())
    await put(store, a_task(not_before=future, priority=1, payload={"moved": True}))
    assert await claim(store) is None
    await database.elapse(601)
    task = await claimed(store)
    assert (task.priority, task.payload) == (1, {"moved": True})


async def test_of_several_puts_in_one_transaction_the_last_counts(store: Store) -> None:
    def work(tx: Tx) -> None:
        tx.put_task(a_task("a", priority=1))
        tx.put_task(a_task("b"))
        tx.put_task(a_task("a", priority=4))
        tx.cancel_task("run", "b")
        tx.put_task(a_task("b", priority=2))

    await store.write(work)
    found = [await claimed(store) for _ in range(2)]
    assert [(each.key, each.priority) for each in found] == [("b", 2), ("a", 4)]
    assert await claim(store) is None


async def test_a_cancelled_task_is_gone_and_its_worker_fenced(store: Store) -> None:
    await put(store, a_task("a"), a_task("b"))
    task = await claimed(store)

    def cancel(tx: Tx) -> None:
        for key in ("a", "b", "absent"):
            tx.cancel_task("run", key)

    await store.write(cancel)
    assert await store.read(lambda tx: tx.next_due(["run"])) is None
    with pytest.raises(FencedError):
        await store.write(lambda tx: tx.hold_task(task))


async def test_what_nobody_here_can_do_is_not_waited_for(store: Store) -> None:
    """A newer replica may have put it: looking for it again and again would be all that is done."""
    await put(store, a_task(kind="message"))
    assert await store.read(lambda tx: tx.next_due(["run", "tick"])) is None
    assert await store.read(lambda tx: tx.next_due(["run", "message"])) == PAST


async def test_the_next_due_time_is_that_of_a_wait_or_a_lease(store: Store) -> None:
    assert await store.read(lambda tx: tx.next_due(["run"])) is None
    future = await store.read(lambda tx: tx.now + timedelta(minutes=1))
    await put(store, a_task("waits", not_before=future))
    assert await store.read(lambda tx: tx.next_due(["run"])) == future
    await put(store, a_task("due"))
    assert await store.read(lambda tx: tx.next_due(["run"])) == PAST
    soon = future - timedelta(seconds=1)
    assert await store.read(lambda tx: tx.next_due(["run"], before=soon)) == PAST

    def work(tx: Tx) -> datetime:
        assert tx.claim_task("w", 5.0, ["run"]) is not None
        return tx.now + timedelta(seconds=5)

    until = await store.write(work)
    assert await store.read(lambda tx: tx.next_due(["run"])) == until


async def test_a_transaction_sees_its_own_tasks(store: Store) -> None:
    def work(tx: Tx) -> tuple[datetime | None, Task | None, datetime | None]:
        tx.put_task(a_task("a"))
        due = tx.next_due(["run"])
        task = tx.claim_task("w", LEASE_S, ["run"])
        assert task is not None
        tx.hold_task(task)
        tx.finish_task(task)
        return due, task, tx.next_due(["run"])

    due, task, after = await store.write(work)
    assert (due, after) == (PAST, None)
    assert task is not None


@pytest.mark.parametrize("priority", [0, 5])
async def test_a_priority_that_no_claim_looks_for_is_refused(store: Store, priority: int) -> None:
    with pytest.raises(QuellError, match="priority"):
        await put(store, a_task(priority=priority))


async def test_many_workers_share_the_tasks(store: Store, other_store: Store) -> None:
    await put(store, *(a_task(f"t{n}", priority=1 + n % 4) for n in range(60)))
    done: list[str] = []

    async def work(at: Store, worker: str) -> None:
        while (task := await claim(at, worker)) is not None:
            done.append(task.key)
            await at.write(finishing(task))

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        for n in range(8):
            group.create_task(work(store if n % 2 else other_store, f"w{n}"))
    assert sorted(done) == sorted(f"t{n}" for n in range(60))


async def test_wakers_and_workers_of_one_incident_do_not_block_each_other(
    store: Store, other_store: Store
) -> None:
    """The pipeline appends, then wakes; the worker holds, then appends: no circle of waits."""
    await put(store, a_task())
    entry = NewEntry(IncidentAcknowledged(), START)

    def wake(tx: Tx) -> None:
        tx.append("incident/i1", [entry])
        tx.wake_task("run", "a")

    async def pipeline() -> None:
        for _ in range(60):
            await store.write(wake)

    async def worker() -> None:
        for _ in range(60):
            while (task := await claim(other_store)) is None:
                await other_store.wait_for_work(600)  # a claim doesn't wait for who wakes the task

            def advance(tx: Tx, task: Task = task) -> None:
                tx.hold_task(task, LEASE_S)
                tx.append("incident/i1", [entry])
                tx.release_task(task, PAST)

            await other_store.write(advance)

    # Fewer seconds than a deadlock_timeout a round would take.
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(pipeline())
        group.create_task(worker())
    heads = await store.read(lambda tx: tx.heads())
    assert heads["incident/i1"][0] == 120


async def test_what_is_due_and_unclaimed_is_told_with_the_last_lease(
    database: Database, store: Store
) -> None:
    nothing = await store.read(lambda tx: tx.due_work())
    assert (nothing.tasks, nothing.since) == (0, None)
    later = await store.read(lambda tx: tx.now + timedelta(hours=1))
    await put(store, a_task("a"), a_task("b", not_before=PAST + timedelta(days=1)))
    await put(store, a_task("later", not_before=later))
    due = await store.read(lambda tx: tx.due_work())
    assert (due.tasks, due.since, due.last_lease) == (2, PAST, nothing.last_lease)
    first = await claimed(store)
    due = await store.read(lambda tx: tx.due_work())
    assert (due.tasks, due.since) == (1, PAST + timedelta(days=1))
    assert due.last_lease == first.token
    # A lease that ran out makes it due again.
    await database.elapse(LEASE_S + 1)
    assert (await store.read(lambda tx: tx.due_work())).tasks == 2


async def test_freed_leases_can_be_claimed_at_once_and_their_holders_are_fenced(
    store: Store,
) -> None:
    later = await store.read(lambda tx: tx.now + timedelta(hours=1))
    await put(store, a_task("a"), a_task("later", not_before=later))
    first = await claimed(store, "w1")
    await store.write(lambda tx: tx.free_leases())
    with pytest.raises(FencedError):
        await store.write(lambda tx: tx.hold_task(first))
    second = await claimed(store, "w2")
    assert (second.key, second.token > first.token) == ("a", True)
    assert await claim(store) is None
    await store.write(lambda tx: tx.hold_task(second))
