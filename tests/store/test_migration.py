"""The tables come from the migrations alone, on a fresh database and beside other releases."""

import ast
import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from engine.errors import ConfigError
from engine.store import migrations
from engine.store.migration import is_current, migrate
from engine.store.migrations.versions import r1_7_log_names
from engine.store.postgres_store import PostgresStore
from engine.store.sqlite_store import SqliteStore
from engine.store.tables import METADATA
from tests.services.stores import SetClock

VERSIONS = Path(migrations.__path__[0]) / "versions"
# What leaves the tables usable for the release before; anything else makes a new major revision.
EXPANDING = frozenset(
    {"add_column", "bulk_insert", "create_index", "create_table", "execute", "get_bind"}
)


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def differences(connection: Connection) -> list[object]:
    def is_ours(_: object, name: str | None, kind: str, *__: object) -> bool:
        return not (kind == "table" and name == "numbers")  # instead of sequences, on SQLite alone

    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "include_object": is_ours}
    )
    return list(compare_metadata(context, METADATA))


def at_revision(connection: Connection, revision: str) -> None:
    connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})


def test_migrations_make_the_tables_that_the_code_uses_on_sqlite(connection: Connection) -> None:
    assert differences(connection) != []
    assert not is_current(connection)
    migrate(connection)
    assert differences(connection) == []
    assert is_current(connection)


async def test_migrations_make_the_tables_that_the_code_uses_on_postgres(postgres_url: str) -> None:
    engine = create_async_engine(postgres_url)
    async with engine.begin() as connection:
        await connection.run_sync(migrate)
        assert await connection.run_sync(differences) == []
    await engine.dispose()


def test_migrating_again_changes_nothing(connection: Connection) -> None:
    migrate(connection)
    before = connection.execute(text("SELECT sql FROM sqlite_master")).all()
    migrate(connection)
    assert connection.execute(text("SELECT sql FROM sqlite_master")).all() == before


def test_what_a_newer_release_expanded_is_left_and_used(connection: Connection) -> None:
    migrate(connection)
    at_revision(connection, "1.99")
    migrate(connection)
    assert is_current(connection)
    assert connection.execute(text("SELECT * FROM alembic_version")).scalar() == "1.99"


def test_what_a_newer_release_contracted_is_refused(connection: Connection) -> None:
    migrate(connection)
    at_revision(connection, "99.1")
    assert not is_current(connection)
    with pytest.raises(ConfigError, match=r"revision 99\.1 .* newer release"):
        migrate(connection)


async def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "quell.db"
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE tasks (something_else TEXT)")
    raw.close()
    with pytest.raises(Exception, match="tasks"):
        await SqliteStore(path, SetClock()).open()
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [
        ("tasks",)
    ]
    raw.close()


async def test_replicas_that_start_together_migrate_once(postgres_url: str) -> None:
    stores = [PostgresStore(postgres_url) for _ in range(4)]
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for store in stores:
            group.create_task(store.open())
    assert await stores[0].write(lambda tx: tx.next_incident_number()) == 1
    for store in stores:
        await store.close()
    connection = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1
    await connection.close()


def test_positions_of_the_embedded_stream_keep_their_file(connection: Connection) -> None:
    def logs() -> list[str]:
        return [row[0] for row in connection.execute(text("SELECT stream FROM positions"))]

    migrate(connection)
    connection.execute(text("INSERT INTO positions VALUES ('embedded/0a1b', 0, 7)"))
    connection.execute(text("INSERT INTO positions VALUES ('kafka/quell.alerts', 0, 9)"))
    with Operations.context(MigrationContext.configure(connection)):
        r1_7_log_names.upgrade()
    assert sorted(logs()) == ["embedded@0a1b", "kafka/quell.alerts"]


@pytest.mark.parametrize("path", sorted(VERSIONS.glob("r*_*.py")), ids=lambda path: path.stem)
def test_within_a_major_revision_the_release_before_can_go_on(path: Path) -> None:
    calls = [each for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.Call)]
    called = [(ast.unparse(each.func), ast.unparse(each)) for each in calls]
    assert {name[3:] for name, _ in called if name.startswith("op.")} <= EXPANDING
    for added in (call for name, call in called if name == "op.add_column"):
        # It leaves the column out when it inserts.
        assert "nullable=False" not in added or "server_default" in added, added
