"""The store on each database, with time that tests move."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import asyncpg
import pytest
from typing_extensions import override

from engine.ports.clock import Clock
from engine.ports.store import Store
from engine.store.postgres_store import PostgresStore
from engine.store.sqlite_store import SqliteStore

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


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """Each database in turn, empty."""
    if request.param == "sqlite":
        return SqliteDatabase(tmp_path / "quell.db")
    return PostgresDatabase(request.getfixturevalue("postgres_url"))


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
