"""A folder on which no engine runs: questions and orders to its files."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from engine.app.activation import Catalogs, activated
from engine.app.audit_keys import folder_keys
from engine.app.process import SystemClock
from engine.app.stop_file import stop_file_of
from engine.core.actions import Estate
from engine.core.catalog import Catalog
from engine.core.inventory import Inventory
from engine.core.policy import Policy
from engine.core.rule_set import RuleSet
from engine.errors import ConfigError, TransientError
from engine.ports.metrics import Metrics
from engine.ports.recording import Author
from engine.stages.commands import CommandStage
from engine.stages.queries import QueryStage
from engine.stages.repositioning import RepositionStage
from engine.stages.switching import SwitchStage
from engine.store.directory import DataDirectory
from engine.store.embedded_stream import EmbeddedStream
from engine.store.sqlite_store import SqliteStore


@asynccontextmanager
async def open_reading(data: Path, *, of_stream: bool = False) -> AsyncIterator[QueryStage]:
    """Questions to the files of a folder, beside a running engine too.

    `of_stream`: about the stream. Raises TransientError where that isn't in the folder.
    """
    clock, directory = SystemClock(), DataDirectory(data)
    if of_stream:
        _require_stream(directory)
    async with AsyncExitStack() as stack:
        store = SqliteStore(directory.store_path, clock)
        stack.push_async_callback(store.close)
        await store.open_readonly()
        stream = EmbeddedStream(directory.stream_path)
        stack.push_async_callback(stream.close)
        # An installation on Kafka has no such file, and asking makes none.
        if directory.stream_path.exists():
            await stream.open()
        keys = partial(folder_keys, data)
        yield QueryStage(store, stream, lambda: (0, 0, 0), keys=keys)


@asynccontextmanager
async def open_deciding(data: Path) -> AsyncIterator[CommandStage]:
    """Decisions in a folder on which no engine runs: its lock is taken meanwhile.

    Nothing is activated: a decision is about the plan that was shown, and its author is the
    catalog version that was active last.
    """
    async with _locked_store(data) as (store, version):
        nothing = Catalog(
            version=version,
            files={},
            texts={},
            rules=RuleSet(),
            playbooks={},
            estate=Estate({}, {}, {}),
            inventory=Inventory(),
            policy=Policy(),
        )
        stop_file = partial(stop_file_of, DataDirectory(data).stop_path)
        yield CommandStage(store, SystemClock(), Catalogs(nothing, {}), stop_file)


@asynccontextmanager
async def open_repositioning(data: Path) -> AsyncIterator[RepositionStage]:
    """The same for the positions of the stream in that folder. Raises TransientError without."""
    async with _locked_store(data) as (store, version), AsyncExitStack() as stack:
        directory = DataDirectory(data)
        _require_stream(directory)
        stream = EmbeddedStream(directory.stream_path)
        stack.push_async_callback(stream.close)
        await stream.open()
        yield RepositionStage(store, stream, Metrics(), lambda: Author(catalog=version))


@asynccontextmanager
async def open_switching(data: Path) -> AsyncIterator[SwitchStage]:
    """The same for what is on until a person turns it off."""
    async with _locked_store(data) as (store, version):
        yield SwitchStage(store, lambda: Author(catalog=version))


def _require_stream(directory: DataDirectory) -> None:
    """Only an engine knows its brokers."""
    if not directory.stream_path.exists():
        raise TransientError(
            f"the stream isn't in {str(directory.stream_path.parent)!r}: start the engine, which "
            "waits at a partition that is stopped, and ask again"
        )


@asynccontextmanager
async def _locked_store(data: Path) -> AsyncIterator[tuple[SqliteStore, str]]:
    """The store of a folder on which no engine runs, and the catalog that was active last."""
    directory = DataDirectory(data)
    async with AsyncExitStack() as stack:
        directory.open()
        stack.callback(directory.close)
        if not directory.store_path.exists():
            raise ConfigError(
                f"no engine ever kept anything in {str(data)!r}: name its folder with --data, or a "
                "server with QUELL_SERVER"
            )
        # Only an engine knows whether it publishes; one that doesn't is done with such tasks.
        store = SqliteStore(directory.store_path, SystemClock(), publishes=True)
        stack.push_async_callback(store.close)
        await store.open()
        yield store, await store.read(activated)
