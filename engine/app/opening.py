"""The database and the stream of one engine, opened."""

from contextlib import AsyncExitStack

import structlog

from engine.app.process import AnchoredClock
from engine.app.store_time import StoreTime
from engine.errors import ConfigError, TransientError
from engine.ports.clock import Clock
from engine.ports.publisher import Publisher
from engine.ports.store import Store
from engine.ports.stream import KeptStream, OpenableStream
from engine.settings import LoadedSettings
from engine.stages.intake import StreamIntake
from engine.store.directory import DataDirectory
from engine.store.embedded_stream import EmbeddedStream
from engine.store.postgres_store import PostgresStore
from engine.store.spooled_stream import SpooledStream
from engine.store.sqlite_store import SqliteStore

log = structlog.get_logger(__name__)


async def open_store(
    loaded: LoadedSettings, clock: Clock, stack: AsyncExitStack, *, publishes: bool
) -> SqliteStore | PostgresStore:
    """PostgreSQL where the settings name one, else SQLite in the data folder, then locked.

    `publishes` as in Tx.
    """
    settings = loaded.settings
    store: SqliteStore | PostgresStore
    if settings.store.url is not None:
        store = PostgresStore(settings.store.url.get_secret_value(), publishes=publishes)
    else:
        directory = DataDirectory(settings.data)
        directory.open()
        stack.callback(directory.close)
        clock = AnchoredClock(clock)
        store = SqliteStore(directory.store_path, clock, publishes=publishes)
    # Before it is open: an opening that fails halfway leaves something to close.
    stack.push_async_callback(store.close)
    await store.open()
    if isinstance(store, SqliteStore):
        # The folder is locked, so whoever held a lease is dead: nobody waits for its end.
        await store.write(lambda tx: tx.free_leases())
    return store


async def open_time(store: Store, machine: Clock) -> tuple[Clock, StoreTime]:
    """What dates things, as the store does; the machine's own clock may be set meanwhile."""
    time = StoreTime(store, AnchoredClock(machine))
    await time.look()
    return time.clock, time


async def open_publisher(publisher: Publisher | None) -> None:
    """Where others follow incidents; a broker that is away is waited for, later."""
    if publisher is None:
        return
    try:
        await publisher.open()
    except TransientError as error:
        log.warning("publishing_waits", topic=publisher.name, error=str(error))


async def open_stream(
    loaded: LoadedSettings,
    stream: OpenableStream,
    store: Store,
    clock: Clock,
    stack: AsyncExitStack,
) -> tuple[KeptStream, SpooledStream | None]:
    """The stream, with a spool before it where that can be away and the data folder is ours."""
    directory = DataDirectory(loaded.settings.data)
    spool = None
    if not isinstance(stream, EmbeddedStream):
        try:
            # With SQLite the folder is locked already.
            if loaded.settings.store.url is not None:
                directory.open()
                stack.callback(directory.close)
        except ConfigError as error:
            log.warning("no_spool", error=str(error))
        else:
            retention = loaded.settings.retention
            waiting = EmbeddedStream(
                directory.spool_path, partitions=1, max_bytes=retention.stream_size
            )
            refuse = StreamIntake(store, stream, clock, retention).refuse
            stream = spool = SpooledStream(stream, waiting, clock, refuse)
    stack.push_async_callback(stream.close)
    await stream.open()
    return stream, spool
