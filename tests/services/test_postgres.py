import asyncpg

from tests.services.postgres import PostgresServer


def plain(url: str) -> str:
    return url.replace("+asyncpg", "")


async def test_a_database_starts_empty_and_is_usable(postgres_url: str) -> None:
    connection = await asyncpg.connect(plain(postgres_url))
    try:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert await connection.fetchval(tables) == 0
        await connection.execute("CREATE TABLE mark (id int)")
        assert await connection.fetchval(tables) == 1
    finally:
        await connection.close()


def test_each_test_has_a_database_of_its_own(postgres: PostgresServer) -> None:
    first, second = postgres.create_database(), postgres.create_database()
    assert first != second
    postgres.drop_database(first)
    postgres.drop_database(second)


async def test_what_was_committed_outlives_a_killed_server(
    postgres: PostgresServer, postgres_url: str
) -> None:
    connection = await asyncpg.connect(plain(postgres_url))
    await connection.execute("CREATE TABLE mark AS SELECT 7 AS id")
    postgres.kill()
    connection.terminate()
    postgres.start()
    connection = await asyncpg.connect(plain(postgres_url))
    assert await connection.fetchval("SELECT id FROM mark") == 7
    await connection.close()
