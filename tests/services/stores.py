"""The store on each database, with time that tests move."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Protocol

import asyncpg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool
from typing_extensions import override

from engine.ports.clock import Clock
from engine.ports.store import Store
from engine.store.migration import migrate
from engine.store.postgres_store import PostgresStore
from engine.store.sqlite_store import SqliteStore
from tests.services.postgres import PostgresServer

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class SetClock(Clock):
    """Stands still until it is moved."""

    at: datetime = START

    @override
    def now(self) -> datetime:
        return self.at

    @override
    def monotonic(self) -> float:
        return self.at.timestamp()

    @override
    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Database(Protocol):
    """One database of its own for a test."""

    def opened(self) -> AbstractAsyncContextManager[Store]:
        """The store over it; more than one at a time only on PostgreSQL."""
        ...

    async def elapse(self, seconds: float) -> None:
        """As if so much time had passed since all that is stored."""
        ...

    @property
    def construction(self) -> str:
        """Python that defines `store` for another process."""
        ...


@dataclass
class SqliteDatabase:
    path: Path
    clock: SetClock = field(default_factory=SetClock)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        store = SqliteStore(self.path, self.clock)
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    async def elapse(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    @property
    def construction(self) -> str:
        return f"""
from pathlib import Path
from engine.store.sqlite_store import SqliteStore
from tests.services.stores import SetClock
store = SqliteStore(Path({str(self.path)!r}), SetClock())
"""


@dataclass
class PostgresDatabase:
    url: str

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        store = PostgresStore(self.url)
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    async def elapse(self, seconds: float) -> None:
        # The server's clock can't be moved, so what is stored moves back.
        connection = await asyncpg.connect(self.url.replace("+asyncpg", ""))
        moved = ", ".join(
            f"{name} = {name} - $1" for name in ("not_before_us", "lease_until_us", "due_at_us")
        )
        await connection.execute(f"UPDATE tasks SET {moved}", int(seconds * 1_000_000))
        await connection.close()

    @property
    def construction(self) -> str:
        return f"""
from engine.store.postgres_store import PostgresStore
store = PostgresStore({self.url!r})
"""


@cache
def migrated_sqlite() -> bytes:
    """A file with this version's tables and nothing in them: migrations take longer than tests."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as raw:
        engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
        with engine.begin() as connection:
            migrate(connection)
        return raw.serialize()


@pytest.fixture(scope="session")
def _migrated_postgres(postgres: PostgresServer) -> str:
    """The name of a database like that."""

    async def open_once(url: str) -> None:
        store = PostgresStore(url)
        await store.open()
        await store.close()

    name = postgres.create_database()
    # In a thread of its own, because the tests have a loop in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, open_once(postgres.url(name))).result()
    return name


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Each database in turn, with nothing in its tables."""
    if request.param == "sqlite":
        path = tmp_path / "quell.db"
        path.write_bytes(migrated_sqlite())
        yield SqliteDatabase(path)
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    name = postgres.create_database(request.getfixturevalue("_migrated_postgres"))
    yield PostgresDatabase(postgres.url(name))
    postgres.drop_database(name)


@pytest.fixture
async def store(database: Database) -> AsyncIterator[Store]:
    """The store on each database in turn."""
    async with database.opened() as opened:
        yield opened


@pytest.fixture
async def other_store(database: Database, store: Store) -> AsyncIterator[Store]:
    """The store of another replica where the database serves several, else the same one."""
    if isinstance(database, PostgresDatabase):
        async with database.opened() as opened:
            yield opened
    else:
        yield store
