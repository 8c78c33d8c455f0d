"""What a process begins with: what its files say, or where they are wrong, what was active last."""

from collections.abc import Mapping
from contextlib import AsyncExitStack

import structlog

from engine.app.activation import activated_texts
from engine.app.configured import Connectors, catalog_sources, load_connectors
from engine.app.opening import open_store
from engine.catalog.kept import kept_sources
from engine.errors import ConfigError, PermanentError
from engine.ports.clock import Clock
from engine.settings import LoadedSettings
from engine.store.directory import DataDirectory

log = structlog.get_logger(__name__)


async def load_parts(
    loaded: LoadedSettings, machine: Clock
) -> tuple[Connectors, ConfigError | None]:
    """All parts, with the catalog of the files; or that of the store, and why not the files'.

    People restart at the worst moment, and alerts would wait at their senders. Raises ConfigError
    where nothing was active yet, or the mistake isn't one of the catalog.
    """
    try:
        return load_connectors(loaded), None
    except ConfigError as refused:
        try:
            texts = await _activated_texts(loaded, machine)
            if texts:
                kept = kept_sources(texts, catalog_sources(loaded))
                return load_connectors(loaded, kept), refused
        except (ConfigError, PermanentError) as error:
            log.warning("last_active_not_usable", error=str(error))
        raise


async def _activated_texts(loaded: LoadedSettings, machine: Clock) -> Mapping[str, bytes]:
    settings = loaded.settings
    if settings.store.url is None and not DataDirectory(settings.data).store_path.exists():
        return {}
    async with AsyncExitStack() as stack:
        # Only what publishes keeps such tasks, and none is touched here.
        store = await open_store(loaded, machine, stack, publishes=True)
        return await store.read(activated_texts)
