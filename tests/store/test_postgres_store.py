"""What a server brings: its loss and return, several replicas, credentials that stay unsaid."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from engine.core.incident import chain_of
from engine.errors import ConfigError, OutcomeUnknownError, TransientError
from engine.ports.known_secrets import KNOWN
from engine.ports.store import Tx
from engine.store.postgres_store import MAX_TRIES, PostgresStore
from engine.store.tx import SqlTx
from tests.services.certificates import Authority
from tests.services.postgres import PostgresServer
from tests.services.process import free_port
from tests.services.secured_postgres import CERTIFIED_USER, USER, SecuredPostgres
from tests.services.stores import PostgresDatabase
from tests.store.values import LEASE_S, a_task, an_incident, appended, claim, claimed, note, put

DEADLINE_S = 60.0


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    await store.open()
    async with asyncio.timeout(DEADLINE_S):
        yield store
    await store.close()


async def ask(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    await connection.execute(statement)
    await connection.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://quell:s3cret@host:port/db",
        "postgresql://quell:s3cret/@host:54a/db",
        "mysql://quell:s3cret@host/db",
        "quell:s3cret@host",
        "",
    ],
)
def test_a_url_that_cannot_be_understood_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="postgresql://USER:PASSWORD@HOST") as raised:
        PostgresStore(url)
    told = f"{raised.value!r} {raised.value.__cause__!r}"
    assert "s3cret" not in told
    assert raised.value.__suppress_context__


async def test_a_server_that_is_not_there_is_a_temporary_fault_without_the_password() -> None:
    store = PostgresStore(f"postgresql://quell:s3cret@127.0.0.1:{free_port()}/db")
    with pytest.raises(TransientError) as raised:
        await store.open()
    assert "s3cret" not in str(raised.value)
    assert "s3cret" not in repr(store.__dict__)
    await store.close()


async def test_a_database_that_is_not_there_is_a_mistake_to_correct(
    postgres: PostgresServer,
) -> None:
    store = PostgresStore(postgres.url("absent"))
    with pytest.raises(ConfigError, match="absent"):
        await store.open()
    await store.close()


async def test_a_server_that_comes_back_is_used_again(
    store: PostgresStore, postgres: PostgresServer
) -> None:
    await store.write(appended("system", "before"))
    postgres.kill()
    try:
        for _ in range(3):
            with pytest.raises(TransientError):
                await store.write(appended("system", "while it is down"))
            with pytest.raises(TransientError):
                await store.read(lambda tx: tx.heads())
    finally:
        postgres.start()
    assert [entry.seq for entry in await store.write(appended("system", "after"))] == [2]


async def test_an_incident_is_not_put_over_what_another_writer_made_of_it(
    store: PostgresStore, postgres_url: str
) -> None:
    await store.write(lambda tx: tx.put_incident(an_incident("a")))

    async def count_two() -> None:
        other = PostgresStore(postgres_url)
        await other.open()
        await other.write(partial(counting, 2, lambda: None))
        await other.close()

    def counting(more: int, between: Callable[[], object], tx: Tx) -> None:
        incident = tx.incident("a")
        assert incident is not None
        between()
        tx.append(chain_of("a"), [note("counted")])
        tx.put_incident(replace(incident, open_count=incident.open_count + more))

    with ThreadPoolExecutor(1) as thread:
        once = iter([lambda: thread.submit(asyncio.run, count_two()).result(DEADLINE_S)])
        await store.write(lambda tx: counting(1, next(once, lambda: None), tx))
    found = await store.read(lambda tx: tx.incident("a"))
    assert found is not None
    assert found.open_count == 3


async def test_a_listener_that_was_lost_comes_back(store: PostgresStore, postgres_url: str) -> None:
    other = PostgresStore(postgres_url)
    await other.open()
    await store.wait_for_work(0.01)
    async with asyncio.TaskGroup() as group:
        waiter = group.create_task(waits_twice(store))
        await asyncio.sleep(0)
        await ask(
            postgres_url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
    assert waiter.done(), "the loss itself ends a wait: something may have been missed"
    await store.wait_for_work(1)  # connects again
    async with asyncio.TaskGroup() as group:
        group.create_task(waits_twice(store))
        await asyncio.sleep(0)
        while True:
            try:
                await put(other, a_task())
            except TransientError:
                continue  # its connections were ended too
            break
    await other.close()


async def waits_twice(store: PostgresStore) -> None:
    await store.wait_for_work(DEADLINE_S)
    await store.wait_for_work(DEADLINE_S)


async def test_a_turn_of_a_run_takes_few_round_trips(store: PostgresStore) -> None:
    """Each of them costs more than what it asks for."""
    await put(store, a_task(payload={"incident_id": "a"}))
    await store.write(appended(chain_of("a"), "before"))
    task = await claimed(store)
    asked: list[str] = []
    async with store._engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        driver.add_query_logger(lambda query: asked.append(query.query))

    def turn(tx: Tx) -> None:
        tx.hold_stops()
        tx.hold_task(task)
        seq, _ = tx.head(chain_of("a"))
        tx.append(chain_of("a"), [note(f"after {seq}"), note(f"at {tx.now}")])
        tx.put_incident(an_incident("a"))
        tx.put_task(a_task("b"))
        tx.put_task(a_task("b", priority=1))

    await store.write(turn)
    # The switch, the stops, the task with the time and the chain's head; the incident, the head
    # with the entries, the task, and the notice to other engines with the commit.
    begins = [each.split()[0] for each in asked]
    assert " ".join(begins) == "BEGIN SELECT SELECT SELECT INSERT WITH INSERT NOTIFY"
    entries = await store.read(lambda tx: tx.entries(chain_of("a")))
    assert [entry.seq for entry in entries] == [1, 2, 3]


async def test_a_deadlock_is_tried_again(store: PostgresStore) -> None:
    tries: list[str] = []
    locked: set[str] = set()

    def locking(first: str, second: str) -> Callable[[Tx], None]:
        def work(tx: Tx) -> None:
            tries.append(first)
            tx.put_text(first, b"")
            locked.add(first)
            while len(locked) < 2:
                tx.text(first)  # until the other has its first one too
            tx.put_text(second, b"")

        return work

    async with asyncio.TaskGroup() as group:
        group.create_task(store.write(locking("aa", "bb")))
        group.create_task(store.write(locking("bb", "aa")))
    assert len(tries) == 3
    assert await store.read(lambda tx: (tx.text("aa"), tx.text("bb"))) == (b"", b"")


async def test_a_work_that_always_meets_others_is_given_up(store: PostgresStore) -> None:
    tries: list[Tx] = []

    def conflict(tx: Tx) -> None:
        tries.append(tx)
        assert isinstance(tx, SqlTx)
        tx._connection.exec_driver_sql(
            "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$"
        )

    with pytest.raises(TransientError, match=f"{MAX_TRIES} tries"):
        await store.write(conflict)
    assert len(tries) == MAX_TRIES


async def test_a_connection_that_is_lost_in_the_commit_leaves_the_outcome_unknown(
    store: PostgresStore, postgres_url: str
) -> None:
    await ask(
        postgres_url,
        """
        CREATE FUNCTION end_me() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON texts
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION end_me();
        """,
    )
    with pytest.raises(OutcomeUnknownError, match="look at what is there"):
        await store.write(lambda tx: tx.put_text("aa", b""))
    assert await store.read(lambda tx: tx.text("aa")) is None


@pytest.mark.parametrize(
    "in_the_commit", [False, True], ids=["before a statement", "in the commit"]
)
async def test_a_server_that_said_farewell_and_did_not_hang_up_yet_is_a_lost_one(
    store: PostgresStore, in_the_commit: bool
) -> None:
    """asyncpg takes no statement between the two, and calls that an error of its own."""
    fields = b"SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
    farewell = b"E" + (len(fields) + 4).to_bytes(4, "big") + fields

    def leaving(tx: Tx) -> None:
        assert isinstance(tx, SqlTx)
        driver: Any = tx._connection.connection.driver_connection
        driver._protocol.data_received(farewell)
        if not in_the_commit:
            tx.text("aa")

    with pytest.raises(OutcomeUnknownError if in_the_commit else TransientError):
        await store.write(leaving)
    await store.write(lambda tx: tx.put_text("aa", b"back"))
    assert await store.read(lambda tx: tx.text("aa")) == b"back"


async def test_who_holds_a_task_keeps_claims_away_but_no_wake_up(
    store: PostgresStore, postgres_url: str
) -> None:
    """A wake-up that waited could wait in a circle: its transaction holds the journal's heads."""
    database = PostgresDatabase(postgres_url)
    await put(store, a_task())
    task = await claimed(store)
    held, checked = asyncio.Event(), asyncio.Event()

    def hold(tx: Tx) -> None:
        tx.hold_task(task)
        held.set()
        while not checked.is_set():
            tx.text("none")

    async with asyncio.TaskGroup() as group:
        group.create_task(store.write(hold))
        await held.wait()
        await store.write(lambda tx: tx.wake_task("run", "a"))
        await database.elapse(LEASE_S + 1)
        assert await claim(store) is None
        checked.set()
    assert await claim(store) is not None


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url)
    try:
        await store.open()
        async with asyncio.timeout(DEADLINE_S):
            yield store
    finally:
        await store.close()


async def refused(url: str) -> str:
    """What opening says about it, which has no secret in it."""
    with pytest.raises(ConfigError) as raised:
        async with opened(url):
            pass
    told = f"{raised.value!r} {raised.value.__cause__!r}"
    assert raised.value.__suppress_context__
    assert "s3cret" not in told
    return told


def certified(secured: SecuredPostgres, **parameters: Any) -> str:
    files = {"sslcert": secured.client.certificate, "sslkey": secured.client.key}
    return secured.url(CERTIFIED_USER, **(files | parameters))


@pytest.mark.parametrize("way", ["password", "certificate"])
async def test_every_connection_to_a_secured_server_is_a_verified_one(
    secured_postgres: SecuredPostgres, way: str
) -> None:
    url = secured_postgres.url() if way == "password" else certified(secured_postgres)
    async with opened(url) as store, opened(url) as other:
        await store.write(appended("system", "over TLS"))
        await store.wait_for_work(0.01)
        async with asyncio.TaskGroup() as group:
            group.create_task(store.wait_for_work(DEADLINE_S))  # heard over TLS as well
            await put(other, a_task())
        connections = secured_postgres.server.ask(
            "SELECT bool_and(ssl), bool_or(query ILIKE 'LISTEN%') FROM pg_stat_ssl "
            "JOIN pg_stat_activity USING (pid) WHERE application_name = 'quell'"
        )
    assert connections.strip() == "t|t"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"host": "127.0.0.1"}, "not valid for '127.0.0.1'", id="host-name"),
        pytest.param({"sslrootcert": "STRANGER"}, "certificate that can't be trusted", id="ca"),
        pytest.param({"user": f"{USER}:wr0ng-s3cret"}, "authentication failed", id="password"),
        pytest.param({"user": CERTIFIED_USER}, "requires a valid client", id="no-certificate"),
        pytest.param({"sslmode": "disable", "sslrootcert": ""}, "no encryption", id="no-tls"),
        pytest.param({"sslrootcert": "GARBAGE"}, "can't be had", id="no-pem"),
    ],
)
async def test_a_secured_server_or_its_client_that_is_not_what_it_should_be_is_refused(
    secured_postgres: SecuredPostgres, tmp_path: Path, changes: dict[str, str], says: str
) -> None:
    files = {"STRANGER": Authority(tmp_path).certificate, "GARBAGE": tmp_path / "garbage.pem"}
    files["GARBAGE"].write_text("no certificate")
    parts: dict[str, Any] = {name: files.get(value, value) for name, value in changes.items()}
    assert says in await refused(secured_postgres.url(**parts))


async def test_a_client_certificate_of_another_authority_is_not_let_in(
    secured_postgres: SecuredPostgres, tmp_path: Path
) -> None:
    issued = Authority(tmp_path).issue(CERTIFIED_USER)
    url = certified(secured_postgres, sslcert=issued.certificate, sslkey=issued.key)
    # All that the server does is to hang up.
    with pytest.raises(TransientError, match="connection was closed"):
        async with opened(url):
            pass


@pytest.mark.parametrize("file", ["sslrootcert", "sslcert", "sslkey", "sslcrl"])
def test_a_file_of_the_url_that_cannot_be_read_is_named(tmp_path: Path, file: str) -> None:
    absent = tmp_path / "absent.pem"
    with pytest.raises(ConfigError, match=f"{file}='{absent}', which can't be read: No such"):
        PostgresStore(f"postgresql://quell:s3cret@db/quell?sslmode=require&{file}={absent}")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        pytest.param("sslrootcert=CA", "'prefer' doesn't look at its sslrootcert", id="no-mode"),
        pytest.param("ssl=allow&sslrootcert=CA", "'allow' doesn't look", id="driver's-word"),
        pytest.param("sslmode=verify-full", "'verify-full' names no sslrootcert", id="no-file"),
        pytest.param("sslmode=verify-fool", "write one of disable, allow", id="unknown"),
    ],
)
def test_a_mode_and_an_authority_go_together(tmp_path: Path, query: str, says: str) -> None:
    query = query.replace("CA", str(Authority(tmp_path).certificate))
    with pytest.raises(ConfigError, match=says) as raised:
        PostgresStore(f"postgresql://quell:s3cret@db/quell?{query}")
    assert "s3cret" not in str(raised.value)


async def test_a_server_certificate_that_fails_while_it_runs_is_waited_for(
    secured_postgres: SecuredPostgres, tmp_path: Path
) -> None:
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(secured_postgres.authority.certificate.read_bytes())
    async with opened(secured_postgres.url(sslrootcert=trusted)) as store:
        trusted.write_bytes(Authority(tmp_path / "next").certificate.read_bytes())
        await store._engine.dispose()
        with pytest.raises(TransientError, match="certificate verify failed"):
            await store.read(lambda tx: tx.heads())
        trusted.write_bytes(secured_postgres.authority.certificate.read_bytes())
        await store.read(lambda tx: tx.heads())


def test_the_key_that_a_url_names_is_known(secured_postgres: SecuredPostgres) -> None:
    PostgresStore(certified(secured_postgres))
    assert KNOWN.masker.found(secured_postgres.client.key.read_text()) == "store.url"
