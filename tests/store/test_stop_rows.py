"""Stops on each database: an intent commits before an order to stop does, or sees it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from engine.core.stops import Stop
from engine.ports.rows import RunRow
from engine.ports.store import Store, Tx
from engine.store.postgres_store import PostgresStore
from tests.services.stores import START, Database
from tests.store.values import note

DEADLINE_S = 30.0
# Below the store's own lock_timeout.
WAIT_DEADLINE_S = 5.0
ALL = Stop("all", "", "local:me", "größe \0", START)
RULE = Stop("rule", "down", "slack:T1/U1", "too many", START - timedelta(microseconds=1))


def ordering(stop: Stop) -> Callable[[Tx], bool]:
    return lambda tx: tx.order_stop(stop)


async def test_a_stop_is_in_force_until_it_is_lifted(database: Database) -> None:
    kept = replace(ALL, reason="größe \ufffd")
    async with database.opened() as store:
        assert await store.write(ordering(ALL)) is True
        assert await store.write(ordering(replace(ALL, actor="other"))) is False
        assert await store.write(ordering(RULE)) is True
        assert await store.read(lambda tx: tx.stops()) == [RULE, kept], "the oldest first"
        assert await store.write(lambda tx: tx.hold_stops()) == [RULE, kept]
    async with database.opened() as store:
        assert await store.write(lambda tx: tx.lift_stop("rule", "other")) is False
        assert await store.write(lambda tx: tx.lift_stop("rule", "down")) is True
        assert await store.write(lambda tx: tx.lift_stop("rule", "down")) is False
        assert await store.read(lambda tx: tx.stops()) == [kept]


async def test_an_order_that_is_rolled_back_was_none(store: Store) -> None:
    def fail(tx: Tx) -> None:
        tx.order_stop(ALL)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.write(fail)
    assert await store.read(lambda tx: tx.stops()) == []


async def test_runs_that_have_not_ended_are_found_to_be_woken(store: Store) -> None:
    first = RunRow("r1", "i1", "t1", "restart", "hash", "active", "", START)
    second = replace(first, id="r2", trigger="t2", created_at=START - timedelta(seconds=1))
    over = replace(first, id="r3", trigger="t3", phase="ended", ended_at=START)
    other = replace(first, id="x4", trigger="t4", incident_id="i2")
    for run in (first, second, over, other):
        await store.write(lambda tx, run=run: tx.create_run(run))  # type: ignore[misc]
    active = await store.read(lambda tx: tx.active_runs())
    assert [run.id for run in active] == ["r2", "r1", "x4"]
    found = await store.read(lambda tx: [tx.find_runs(each) for each in ("R3", "i1", "i2", "")])
    assert [[run.id for run in runs] for runs in found] == [["r3"], ["r1", "r2"], ["x4"], []]


async def intend(store: Store, number: int) -> bool:
    """What a worker does at its point of no return."""

    def work(tx: Tx) -> bool:
        if tx.hold_stops():
            return False
        tx.append(f"incident/{number}", [note("intent")])
        return True

    return await store.write(work)


@pytest.fixture
async def held(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection in whose transaction a test can take the kill switch as a release would."""
    connection = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    yield connection
    await connection.close()


async def waits(connection: asyncpg.Connection) -> None:
    """Until another connection waits for a lock."""
    asked = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(WAIT_DEADLINE_S):
        while await connection.fetchval(asked) == 0:
            await asyncio.sleep(0.01)
            await connection.execute("SELECT pg_stat_clear_snapshot()")


@pytest.fixture
async def replica(postgres_url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    await store.open()
    async with asyncio.timeout(DEADLINE_S):
        yield store
    await store.close()


async def test_a_stop_waits_for_an_intent_that_is_about_to_commit(
    replica: PostgresStore, held: asyncpg.Connection
) -> None:
    async with asyncio.TaskGroup() as group, held.transaction():
        await held.fetch("SELECT id FROM kill_switch FOR SHARE")
        assert await intend(replica, 1), "intents don't wait for each other"
        order = group.create_task(replica.write(ordering(ALL)))
        await waits(held)
        assert not order.done()
    assert order.result() is True
    assert await intend(replica, 2) is False


async def test_an_intent_waits_for_a_stop_that_is_about_to_commit_and_then_is_none(
    replica: PostgresStore, held: asyncpg.Connection
) -> None:
    async with asyncio.TaskGroup() as group, held.transaction():
        await held.fetch("SELECT id FROM kill_switch FOR UPDATE")
        intended = group.create_task(intend(replica, 1))
        await waits(held)
        await held.execute("INSERT INTO stops VALUES ('all', '', 'me', 'x', 0)")
        assert not intended.done()
    assert intended.result() is False
    assert await replica.read(lambda tx: tx.entries("incident/1")) == []


async def test_of_racing_intents_and_a_stop_none_commits_after_the_stop(
    store: Store, other_store: Store
) -> None:
    stopped = asyncio.Event()
    late: list[int] = []
    intended: list[int] = []

    async def work(number: int, first: int) -> None:
        for each in range(first, first + 40):
            after = stopped.is_set()
            if await intend(store if number % 2 else other_store, each):
                intended.append(each)
                if after:
                    late.append(each)

    async def order() -> None:
        while len(intended) < 10:
            await asyncio.sleep(0)
        await other_store.write(ordering(ALL))
        stopped.set()

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(work(number, number * 40))
        group.create_task(order())
    assert late == []
    assert 10 <= len(intended) < 160
    heads = await store.read(lambda tx: tx.heads())
    assert set(heads) == {f"incident/{number}" for number in intended}
