"""The store in PostgreSQL, shared by any number of engines; the server's clock is the store's."""

import asyncio
import os
import random
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import asyncpg
import structlog
from sqlalchemy import Connection, event, func, make_url, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from typing_extensions import override

from engine.errors import ConfigError, OutcomeUnknownError, QuellError, TransientError
from engine.ports.known_secrets import KNOWN
from engine.ports.store import Store, Tx
from engine.store.faults import DRIVER_ERRORS, classified, is_conflict
from engine.store.journal_rows import ChainMovedError
from engine.store.migration import migrate
from engine.store.statements import bare_rows
from engine.store.tx import SqlTx
from engine.store.waiting import Doorbell

log = structlog.get_logger(__name__)

T = TypeVar("T")

# Each of these is a server process; more of them don't commit faster.
CONNECTIONS = 10
# Deadlocks end after the server's deadlock_timeout (1 s): five tries stay below a lease.
MAX_TRIES = 5
_FIRST_PAUSE_S = 0.01
_CONNECT_TIMEOUT_S = 10
# More than there are, each in the few lengths of its lists; a connection keeps each prepared.
_STATEMENTS = 512
# A whole transaction. The server gives up a statement much earlier; who hears nothing for so long
# has lost it, though no connection ended (a firewall or an address that moved forgot them).
ANSWERS_WITHIN_S = 60.0
# No statement of ours takes long; a server that can't answer within these is one that is down.
_SERVER_SETTINGS = {
    "application_name": "quell",
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
}
# libpq's; `require` alone encrypts, and looks at who answers only where it has an sslrootcert.
_CARELESS = ("disable", "allow", "prefer")
_VERIFYING = ("verify-ca", "verify-full")
_SSL_MODES = (*_CARELESS, "require", *_VERIFYING)
_CHANNEL = "quell_work"
# Any number, as long as every release uses the same: replicas that start together migrate once.
_MIGRATION_LOCK = 0x71_75_65_6C_6C

_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# What asyncpg raises, of its own or through SQLAlchemy.
_LOST = (DBAPIError, *DRIVER_ERRORS, OSError)
_NOW = select(func.clock_timestamp())


class PostgresStore(Store):
    """Open it in the loop that uses it."""

    def __init__(
        self, url: str, *, publishes: bool = False, answers_within_s: float = ANSWERS_WITHIN_S
    ) -> None:
        """`url` is postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full.

        Of its parameters, those of libpq for TLS (ssl...) are understood as libpq does; their
        files are read for each connection. `publishes` as in Tx. Raises ConfigError.
        """
        parsed, tls = _parsed(url)
        if "sslkey" in tls:
            KNOWN.keep_file("store.url", Path(tls["sslkey"]))
        self._engine = create_async_engine(
            parsed,
            pool_size=CONNECTIONS,
            max_overflow=1,  # the listener's, which is never given back
            pool_timeout=_CONNECT_TIMEOUT_S,
            hide_parameters=True,
            isolation_level="AUTOCOMMIT",  # transactions begin and end outside of SQLAlchemy
            connect_args={
                "timeout": _CONNECT_TIMEOUT_S,
                "server_settings": _SERVER_SETTINGS,
                # Statements are few, and some of those over many keys are long.
                "statement_cache_size": _STATEMENTS,
                "max_cacheable_statement_size": 0,
                # The only way to name asyncpg the files; what the URL says goes before it.
                "dsn": f"postgresql://?{urlencode(tls)}",
            },
        )
        self._answers_within_s = answers_within_s
        self._silences = 0
        event.listen(self._engine.sync_engine, "connect", self._connected)
        event.listen(self._engine.sync_engine, "checkout", self._taken)
        self._publishes = publishes
        self._id = os.urandom(8).hex()
        self._notify = f"NOTIFY {_CHANNEL}, '{self._id}'"
        self._doorbell = Doorbell()
        self._listener: AsyncConnection | None = None
        self._hears = False
        self._connecting = asyncio.Lock()

    async def open(self) -> None:
        """Migrate and listen. Raises TransientError, or ConfigError where waiting won't help.

        A certificate that can't be trusted is such a case here. Later, while the engine runs, it
        is waited for: it may be on the way of being renewed.
        """
        with classified(), _tls_mistakes():
            async with self._transaction(_WRITE) as (connection, driver):
                await connection.run_sync(_migrate_alone)
                await driver.execute("COMMIT")
        await self._listen()

    async def close(self) -> None:
        """Give all connections back."""
        await self._stop_listening()
        await self._engine.dispose()

    @override
    async def write(self, work: Callable[[Tx], T]) -> T:
        with classified(), self._no_silence():
            contended: Sequence[str] = ()
            for attempt in range(MAX_TRIES):
                try:
                    return await self._transact(work, contended)
                except ChainMovedError as error:
                    contended = error.chains
                    continue
                except (DBAPIError, asyncpg.PostgresError) as error:
                    if not is_conflict(error):
                        raise
                # Those who met should not meet again.
                await asyncio.sleep(_FIRST_PAUSE_S * 2**attempt * (1 + random.random()))
        raise TransientError(
            f"the transaction met others in each of {MAX_TRIES} tries and was rolled back; "
            "try again later"
        )

    @override
    async def read(self, work: Callable[[Tx], T]) -> T:
        def execute(connection: Connection) -> T:
            tx = SqlTx(connection, lambda: _now(connection), reading=True)
            result = work(tx)
            tx.flush()  # nothing, or the server's refusal to write
            return result

        with classified(), self._no_silence():
            async with asyncio.timeout(self._answers_within_s):
                async with self._transaction(_READ) as (connection, driver):
                    result = await connection.run_sync(execute)
                    await driver.execute("COMMIT")
                    return result

    @override
    async def wait_for_work(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._listen_again()
                await self._doorbell.wait()
        except TimeoutError:
            pass

    async def _transact(self, work: Callable[[Tx], T], contended: Sequence[str]) -> T:
        def execute(connection: Connection) -> tuple[T, bool]:
            tx = SqlTx(connection, lambda: _now(connection), publishes=self._publishes)
            tx.lock_chains(contended)
            result = work(tx)
            tx.flush()
            return result, tx.woke

        committing: Any = None
        try:
            async with asyncio.timeout(self._answers_within_s):
                async with self._transaction(_WRITE) as (connection, driver):
                    result, woke = await connection.run_sync(execute)
                    committing = driver
                    await driver.execute(f"{self._notify}; COMMIT" if woke else "COMMIT")
        except _LOST as error:
            if committing is None:
                raise
            if isinstance(error, TimeoutError):
                self._silences += 1
            elif isinstance(error, asyncpg.PostgresError) and not committing.is_closed():
                raise
            raise OutcomeUnknownError(
                "the connection to the store was lost during a commit: look at what is there "
                "before doing it again"
            ) from None
        if woke:
            self._doorbell.ring()
        return result

    @asynccontextmanager
    async def _transaction(self, begin: str) -> AsyncIterator[tuple[AsyncConnection, Any]]:
        """A connection, its driver's too; unless the caller commits, nothing was done.

        A connection of which nobody knows what goes on in it is never used again.
        """
        async with self._engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            at_rest = False
            try:
                await driver.execute(begin)
                yield connection, driver
                at_rest = True
            except Exception:
                with suppress(*_LOST):
                    await driver.execute("ROLLBACK")
                    at_rest = True
                raise
            finally:
                if not at_rest:
                    await connection.invalidate()

    @contextmanager
    def _no_silence(self) -> Iterator[None]:
        """What was lost without a word wasn't lost alone: idle connections are made anew, too."""
        try:
            yield
        except TimeoutError:
            self._silences += 1
            raise TransientError("the store can't be used now: it gave no answer in time") from None

    def _connected(self, _: object, record: ConnectionPoolEntry) -> None:
        record.info["silences"] = self._silences

    def _taken(self, _: object, record: ConnectionPoolEntry, __: object) -> None:
        if record.info["silences"] != self._silences:
            raise DisconnectionError

    async def _listen_again(self) -> None:
        """Where the listener was lost: until it is back, only the caller's deadline wakes."""
        async with self._connecting:
            if not self._hears:
                try:
                    await self._stop_listening()
                    await self._listen()
                except QuellError as error:
                    log.warning("store_listener_unavailable", error=str(error))

    async def _listen(self) -> None:
        with classified():
            self._listener = await self._engine.connect()
            driver: Any = (await self._listener.get_raw_connection()).driver_connection
            driver.add_termination_listener(self._lost)
            await driver.add_listener(_CHANNEL, self._notified)
        self._hears = True
        self._doorbell.ring()  # for what came while nobody listened

    async def _stop_listening(self) -> None:
        listener, self._listener, self._hears = self._listener, None, False
        if listener is not None:
            await listener.invalidate()
            await listener.close()

    def _notified(self, connection: object, process: int, channel: str, sender: str) -> None:
        if sender != self._id:
            self._doorbell.ring()

    def _lost(self, connection: object) -> None:
        if self._hears:
            log.warning("store_listener_lost")
            self._hears = False
            self._doorbell.ring()


def _parsed(url: str) -> tuple[URL, Mapping[str, str]]:
    """The URL without its parameters for TLS, and these."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    # Neither the URL nor what a parser says of it is shown: both may hold the password.
    if parsed is None or not parsed.drivername.startswith("postgresql"):
        raise ConfigError(
            "the store's URL can't be understood: write "
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with %40 for an @ in the password"
        ) from None
    tls = {
        "sslmode" if name == "ssl" else name: value if isinstance(value, str) else value[-1]
        for name, value in parsed.query.items()
        if name.startswith("ssl")
    }
    _check_tls(tls)
    plain = parsed.difference_update_query(
        [name for name in parsed.query if name.startswith("ssl")]
    )
    return plain.set(drivername="postgresql+asyncpg"), tls


def _check_tls(tls: Mapping[str, str]) -> None:
    mode = tls.get("sslmode", "prefer")
    if mode not in _SSL_MODES:
        known = ", ".join(_SSL_MODES)
        raise ConfigError(f"the store's URL has sslmode={mode!r}: write one of {known}")
    trusts = "sslrootcert" in tls
    if (trusts and mode in _CARELESS) or (not trusts and mode in _VERIFYING):
        problem = "doesn't look at its sslrootcert" if trusts else "names no sslrootcert"
        raise ConfigError(
            f"the store's URL with sslmode {mode!r} {problem}: write "
            "sslmode=verify-full&sslrootcert=FILE with the authority that signed the server's "
            "certificate"
        )
    for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl"):
        if name in tls:
            try:
                with Path(tls[name]).open("rb"):
                    pass
            except OSError as error:
                raise ConfigError(
                    f"the store's URL has {name}={tls[name]!r}, which can't be read: "
                    f"{error.strerror}"
                ) from None


@contextmanager
def _tls_mistakes() -> Iterator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise ConfigError(
            f"the store's server has a certificate that can't be trusted ({error.verify_message}): "
            "the URL's host must be a name in it, and sslrootcert the authority that signed it"
        ) from None
    except ssl.SSLError as error:
        raise ConfigError(
            f"TLS with the store's server can't be had ({error.reason or error}): check "
            "sslrootcert, sslcert and sslkey in its URL"
        ) from None


def _migrate_alone(connection: Connection) -> None:
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SET LOCAL lock_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    migrate(connection)


def _now(connection: Connection) -> datetime:
    ((now,),) = bare_rows(connection, _NOW, {})
    assert isinstance(now, datetime)
    return now
