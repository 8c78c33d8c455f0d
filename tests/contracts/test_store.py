"""What every store promises of a transaction, on each database.

What it keeps in its rows is in tests/store/test_*_rows.py, on each database too.
"""

import asyncio
import os
import signal
import sys
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from engine.core.events import IncidentAcknowledged
from engine.core.journal import verify_chain
from engine.errors import QuellError
from engine.ports.rows import IncidentFilter
from engine.ports.store import Store, Tx
from tests.services.stores import Database
from tests.store.values import an_incident, appended, note

DEADLINE_S = 30.0


class RejectedError(QuellError):
    """What a test's work raises on purpose."""


# Transactions.


async def test_a_work_that_fails_leaves_nothing_and_its_error_rises(store: Store) -> None:
    def fail(tx: Tx) -> None:
        tx.append("system", [note("x")])
        tx.count({"records": 1})
        tx.put_text("aa", b"x")
        tx.put_incident(an_incident())
        raise RejectedError("on purpose")

    with pytest.raises(RejectedError, match="on purpose"):
        await store.write(fail)
    assert await store.read(lambda tx: dict(tx.heads())) == {}
    assert await store.read(lambda tx: dict(tx.counters())) == {}
    assert await store.read(lambda tx: tx.text("aa")) is None
    assert await store.read(lambda tx: tx.incidents(IncidentFilter())) == []


async def test_one_failing_work_among_many_takes_no_other_with_it(store: Store) -> None:
    results: dict[int, object] = {}

    async def write(number: int) -> None:
        def work(tx: Tx) -> int:
            tx.append(f"incident/{number}", [note("x")])
            if number % 7 == 3:
                raise RejectedError(str(number))
            return number

        try:
            results[number] = await store.write(work)
        except RejectedError as error:
            results[number] = str(error)

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(write(number))
    failed = {n for n in range(50) if n % 7 == 3}
    assert results == {n: str(n) if n in failed else n for n in range(50)}
    heads = await store.read(lambda tx: tx.heads())
    assert set(heads) == {f"incident/{n}" for n in range(50) if n not in failed}


async def test_cancelled_callers_do_no_harm_to_others(store: Store) -> None:
    async with asyncio.timeout(DEADLINE_S):
        async with asyncio.TaskGroup() as group:
            writers = [
                group.create_task(store.write(appended("system", str(n)))) for n in range(60)
            ]
            await asyncio.sleep(0)
            for writer in writers[::2]:
                writer.cancel()
        kept = {writers[n].result()[0].seq for n in range(1, 60, 2)}
    assert len(kept) == 30
    entries = await store.read(lambda tx: tx.entries("system"))
    head = (await store.read(lambda tx: tx.heads()))["system"]
    assert verify_chain("system", entries, head) is None
    assert kept <= {entry.seq for entry in entries}
    await store.write(appended("system", "and on"))


async def test_reading_writes_nothing(store: Store) -> None:
    with pytest.raises(QuellError):
        await store.read(appended("system", "x"))
    assert await store.read(lambda tx: dict(tx.heads())) == {}


async def test_reading_sees_one_snapshot(store: Store) -> None:
    await store.write(lambda tx: tx.count({"seen": 1}))

    def read_twice(tx: Tx) -> tuple[int, int]:
        first = tx.counters()["seen"]
        return first, tx.counters()["seen"]

    async def write() -> None:
        for _ in range(20):
            await store.write(lambda tx: tx.count({"seen": 1}))

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(write())
        reads = [group.create_task(store.read(read_twice)) for _ in range(20)]
    assert all(first == second for first, second in (each.result() for each in reads))


async def test_time_is_read_once_a_transaction_and_is_aware(store: Store) -> None:
    first, second = await store.write(lambda tx: (tx.now, tx.now))
    assert first == second
    assert first.tzinfo is not None
    assert first.utcoffset() == timedelta(0)
    assert first.astimezone(UTC) == first


async def test_what_was_acknowledged_outlives_a_killed_process(
    database: Database, tmp_path: Path
) -> None:
    program = f"""
import asyncio, datetime, sys
from engine.core.events import IncidentAcknowledged
from engine.core.journal import NewEntry
{database.construction}
async def write(worker):
    for n in range(10**9):
        entry = NewEntry(IncidentAcknowledged(note=f"{{worker}}/{{n}}"),
                         datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
        await store.write(lambda tx: tx.append("system", [entry]))
        print(f"{{worker}}/{{n}}", flush=True)
async def main():
    await store.open()
    async with asyncio.TaskGroup() as group:
        for worker in range(8):
            group.create_task(write(worker))
asyncio.run(main())
"""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    acknowledged: list[str] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(acknowledged) < 200:
            acknowledged.append((await child.stdout.readline()).decode().strip())
        os.kill(child.pid, signal.SIGKILL)
        acknowledged += (await child.stdout.read()).decode().split("\n")[:-1]
        await child.wait()
    async with database.opened() as store:
        entries = await store.read(lambda tx: tx.entries("system"))
        head = (await store.read(lambda tx: tx.heads()))["system"]
        await store.write(appended("system", "and on"))
    assert verify_chain("system", entries, head) is None
    written = {event.note for e in entries if isinstance(event := e.event(), IncidentAcknowledged)}
    assert set(acknowledged) <= written
