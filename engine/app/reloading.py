"""Takes up edited rules, playbooks, commands, inventory and policy while the engine works.

All of them or nothing: a file with a mistake leaves in force what was active, at a start as well,
and says so until it is mended. Whoever folds a run goes on with the texts that the run began with.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import structlog

from engine.app.activation import Catalogs, activate, activated
from engine.app.configured import catalog_sources, checked_catalog
from engine.catalog import written_version
from engine.core.catalog import Catalog
from engine.core.journal import ENGINE
from engine.errors import ConfigError, TransientError
from engine.ports.accepted_modes import in_force
from engine.ports.clock import Clock
from engine.ports.metrics import Metrics
from engine.ports.store import Store
from engine.settings import LoadedSettings

log = structlog.get_logger(__name__)

# An editor, or a mounted ConfigMap, writes several files one after the other.
LOOK_EVERY_S = 5.0
FINDINGS_TOLD = 5


@dataclass(slots=True)
class CatalogReload:
    """Looks whether the files changed, every few seconds and when it is asked to."""

    loaded: LoadedSettings
    catalogs: Catalogs
    store: Store
    clock: Clock
    metrics: Metrics
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    actor: str = ENGINE
    held: Catalog | None = None
    _seen: str = ""
    _refused: str = ""
    _elsewhere: str = ""

    def warnings(self) -> list[str]:
        """Why the files are not wholly in force, in sentences; empty while they are."""
        found = [self._refused] if self._refused else []
        if self.held is not None:
            found.append("what the files raised waits for a second person: `quell raises show`")
        if self._elsewhere:
            found.append(
                f"another replica made {self._elsewhere[:12]} of its files active, and here "
                f"{self.catalogs.active.version[:12]} decides: give both the same files"
            )
        return found

    async def run(self) -> None:
        """Look until cancelled."""
        self._seen = self._seen or self.catalogs.active.version
        while True:
            asked = await self._woken()
            written = await asyncio.to_thread(written_version, catalog_sources(self.loaded))
            if asked or written != self._seen:
                await self._take()
                self._seen = written
            elif self.held is not None:
                await self._look_whether_confirmed(self.held)
            # A store that is away tells nothing, and is told of elsewhere.
            with suppress(TransientError):
                await self.look_at_others()

    async def look_at_others(self) -> None:
        """Note whether a replica with other files made them active since."""
        mine, before = self.catalogs.active.version, self._elsewhere
        latest = await self.store.read(activated)
        self._elsewhere = latest if latest not in ("", mine) else ""
        if self._elsewhere not in ("", before):
            log.error("catalog_differs", active=mine, elsewhere=latest)

    async def _woken(self) -> bool:
        """Wait for the next look; whether somebody asked for it."""
        async with asyncio.TaskGroup() as group:
            pause = group.create_task(self.clock.sleep(LOOK_EVERY_S))
            order = group.create_task(self.asked.wait())
            await asyncio.wait((pause, order), return_when=asyncio.FIRST_COMPLETED)
            pause.cancel()
            order.cancel()
        was_asked = self.asked.is_set()
        self.asked.clear()
        return was_asked

    async def _take(self) -> None:
        try:
            catalog = await asyncio.to_thread(self._loaded)
        except ConfigError as error:
            self.refuse(error)
            return
        self._refused = ""
        self.metrics.catalog_refused.set(0)
        if catalog.version == self.catalogs.active.version:
            return
        # The texts first: a run that begins a moment later names them.
        active = await self.store.write(partial(activate, catalog=catalog, actor=self.actor))
        before, self.catalogs.active = self.catalogs.active, active
        self.hold(catalog)
        log.info("catalog_active", catalog=catalog.version, changed=_changed(before, catalog))

    def hold(self, catalog: Catalog) -> None:
        """Note whether what became active is less than this catalog's files say."""
        self.held = None if self.catalogs.active is catalog else catalog

    async def _look_whether_confirmed(self, catalog: Catalog) -> None:
        active = await self.store.read(partial(in_force, catalog=catalog))
        if active is catalog:
            self.catalogs.active = catalog
            self.held = None
            log.info("raise_confirmed", catalog=catalog.version)

    def _loaded(self) -> Catalog:
        catalog = checked_catalog(catalog_sources(self.loaded))
        if catalog.inventory.connections != self.catalogs.active.inventory.connections:
            raise ConfigError(
                "the inventory's `connections` changed, and those are opened at the start: "
                "restart quell to use them"
            )
        return catalog

    def refuse(self, error: ConfigError) -> None:
        """Tell, until it is mended, that the files have a mistake and what was active still is."""
        told = [str(each) for each in error.findings[:FINDINGS_TOLD]] or [str(error)]
        left = len(error.findings) - len(told)
        if left > 0:
            told.append(f"and {left} more")
        version = self.catalogs.active.version
        self._refused = (
            f"the rules and playbooks on disk are not in force, {version[:12]} still is: "
            f"{'; '.join(told)}"
        )
        self.metrics.catalog_refused.set(1)
        log.error("catalog_refused", active=version, findings=told)


def _changed(before: Catalog, after: Catalog) -> list[str]:
    """The names of the files that differ."""
    names = {*before.files, *after.files}
    return sorted(name for name in names if before.files.get(name) != after.files.get(name))
