"""The store in a file: opening, reading beside a running engine, closing."""

import asyncio
from pathlib import Path

import pytest

from engine.errors import ConfigError, TransientError
from engine.store.sqlite_files import open_writer
from engine.store.sqlite_store import SqliteStore
from tests.services.stores import SetClock
from tests.store.values import appended


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A file that an engine has used."""
    store = SqliteStore(tmp_path / "quell.db", SetClock())
    await store.open()
    await store.write(appended("system", "first"))
    await store.close()
    return tmp_path / "quell.db"


@pytest.mark.parametrize("engine_runs", [True, False], ids=["beside-an-engine", "alone"])
async def test_reading_verbs_see_what_is_committed(path: Path, *, engine_runs: bool) -> None:
    engine, reader = SqliteStore(path, SetClock()), SqliteStore(path, SetClock())
    if engine_runs:
        await engine.open()
    await reader.open_readonly()
    if engine_runs:
        await engine.write(appended("system", "second"))
    heads = await reader.read(lambda tx: tx.heads())
    assert heads["system"][0] == (2 if engine_runs else 1)
    with pytest.raises(ConfigError, match="reading only"):
        await reader.write(appended("system", "third"))
    await reader.close()
    await engine.close()


async def test_reading_needs_a_file_of_this_version(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no .*quell\.db"):
        await SqliteStore(tmp_path / "quell.db", SetClock()).open_readonly()
    open_writer(tmp_path / "quell.db").close()
    with pytest.raises(ConfigError, match="another version"):
        await SqliteStore(tmp_path / "quell.db", SetClock()).open_readonly()


async def test_a_closed_store_says_so(path: Path) -> None:
    store = SqliteStore(path, SetClock())
    await store.open()
    await store.close()
    await store.close()
    with pytest.raises(TransientError, match="closed"):
        await store.write(appended("system", "x"))
    with pytest.raises(TransientError, match="closed"):
        await store.read(lambda tx: tx.heads())


async def test_a_file_that_another_writer_holds_is_a_temporary_fault(path: Path) -> None:
    store = SqliteStore(path, SetClock())
    await store.open()
    other = open_writer(path)
    other.execute("BEGIN IMMEDIATE")
    async with asyncio.timeout(30):
        with pytest.raises(TransientError, match="locked"):
            await store.write(appended("system", "second"))
    other.execute("ROLLBACK")
    other.close()
    assert (await store.write(appended("system", "second")))[0].seq == 2
    await store.close()


async def test_reads_do_not_wait_for_the_writer(path: Path) -> None:
    store = SqliteStore(path, SetClock())
    await store.open()
    other = open_writer(path)
    other.execute("BEGIN IMMEDIATE")
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        reads = [group.create_task(store.read(lambda tx: tx.heads())) for _ in range(20)]
    assert all(read.result()["system"][0] == 1 for read in reads)
    other.close()
    await store.close()
