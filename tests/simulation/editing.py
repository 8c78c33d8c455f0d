"""Somebody edits the rules so that they go further, which takes a second person."""

from dataclasses import dataclass
from functools import partial

from engine.core.catalog import Catalog
from engine.errors import TransientError
from engine.ports.accepted_modes import in_force, take_modes
from engine.ports.store import Tx
from tests.doubles.written import WrittenCatalog, keep_texts
from tests.simulation.inline_store import Database, InlineStore
from tests.simulation.invariants import EDITOR
from tests.simulation.scenes import Scene, simulated_catalog
from tests.simulation.scheduler import Process, ProcessClock, Scheduler

# How often a replica looks what is in force.
LOOK_EVERY_S = 15.0


@dataclass
class Files:
    """The team's files, `active` being what they say, and what replicas make of them."""

    scheduler: Scheduler
    database: Database
    scene: Scene
    active: Catalog

    def put_in_force(self) -> None:
        """As the engine does when it finds them changed."""

        def work(tx: Tx) -> None:
            keep_texts(tx, self.active)
            if self.scene.raised:
                take_modes(tx, self.active, EDITOR.actor)

        self.database.execute(work)

    def of_a_replica(self) -> WrittenCatalog:
        """What a replica that starts now takes them for."""
        return WrittenCatalog(self.database.execute(partial(in_force, catalog=self.active))[0])

    async def edit(self) -> None:
        """Let the rules go further, some day."""
        clock = ProcessClock(self.scheduler, Process("editor", mortal=False))
        await clock.sleep(self.scheduler.random.uniform(0, 120))
        self.active = simulated_catalog(self.scene, self.scene.raised).active
        self.put_in_force()

    async def follow(
        self, catalogs: WrittenCatalog, store: InlineStore, clock: ProcessClock
    ) -> None:
        """Keep a replica's catalog what is in force."""
        while catalogs.active is not self.active or self.scheduler.chaos:
            await clock.sleep(LOOK_EVERY_S)
            try:
                catalogs.active = await store.read(partial(in_force, catalog=self.active))
            except TransientError:
                continue
