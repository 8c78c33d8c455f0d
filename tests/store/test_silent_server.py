"""A server that is heard of no more, though no connection ends: a firewall forgot them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from engine.errors import OutcomeUnknownError, TransientError
from engine.ports.store import Tx
from engine.store.postgres_store import PostgresStore
from tests.services.postgres import PostgresServer
from tests.services.relay import Relay, running_relay

# More than the two seconds that SQLAlchemy gives a connection for a farewell.
ANSWERS_WITHIN_S = 4.0
MADE = 3
DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class Relayed:
    store: PostgresStore
    relay: Relay


@pytest.fixture
async def relayed(postgres: PostgresServer, postgres_url: str) -> AsyncIterator[Relayed]:
    with running_relay(postgres.port) as relay:
        url = postgres_url.replace(f":{postgres.port}/", f":{relay.port}/")
        store = PostgresStore(url, answers_within_s=ANSWERS_WITHIN_S)
        await store.open()
        async with asyncio.timeout(DEADLINE_S):
            yield Relayed(store, relay)
    # Without the relay its connections have an end.
    await store.close()


async def test_silence_is_a_temporary_fault_and_ends_with_a_new_connection(
    relayed: Relayed,
) -> None:
    store = relayed.store
    await store.write(lambda tx: tx.put_text("before", b"kept"))
    relayed.relay.cut()
    with pytest.raises(TransientError, match="it gave no answer in time"):
        await store.read(lambda tx: tx.text("before"))
    with pytest.raises(TransientError, match="it gave no answer in time"):
        await store.write(lambda tx: tx.put_text("meanwhile", b""))
    relayed.relay.mend_for_new()
    assert await store.read(lambda tx: tx.text("before")) == b"kept"
    await store.write(lambda tx: tx.put_text("after", b""))
    assert await store.read(lambda tx: tx.text("meanwhile")) is None


async def test_silence_in_the_commit_leaves_the_outcome_unknown(relayed: Relayed) -> None:
    def work(tx: Tx) -> None:
        assert tx.text("anything") is None
        relayed.relay.cut()

    with pytest.raises(OutcomeUnknownError, match="look at what is there"):
        await relayed.store.write(work)
    relayed.relay.mend_for_new()
    await relayed.store.write(lambda tx: tx.put_text("after", b""))


async def test_one_silence_is_enough_for_all_connections(relayed: Relayed) -> None:
    store = relayed.store

    async def use() -> None:
        await store.read(lambda tx: tx.text("anything"))

    # So many at once that all are made.
    async with asyncio.TaskGroup() as group:
        for _ in range(MADE):
            group.create_task(use())
    relayed.relay.cut()
    with pytest.raises(TransientError, match="it gave no answer in time"):
        await use()
    relayed.relay.mend_for_new()
    for _ in range(MADE):
        await use()
