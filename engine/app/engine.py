"""One process at work: what it serves, which loops it keeps going, and how it ends."""

import asyncio
import contextlib
import gc
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import structlog
from pydantic import SecretStr
from starlette.types import ASGIApp

from engine.app.activation import Catalogs
from engine.app.loops import Loop
from engine.app.process import Shutdown, http_server, listen_on, on_hangup, stop_signals, url_of
from engine.app.reloading import CatalogReload
from engine.app.store_time import StoreTime
from engine.app.tls import Tls
from engine.app.watches import OUTBOX, PIPELINE, WORKER, Watches
from engine.core.masking import UNMASKED
from engine.errors import QuellError, TransientError
from engine.gateway.app import build_gateway
from engine.gateway.health_only import HealthOnly
from engine.gateway.keeping import Keeper
from engine.gateway.parts import GatewayParts
from engine.pipeline import Pipeline
from engine.ports.action import Action
from engine.ports.clock import Clock
from engine.ports.commands import By
from engine.ports.known_secrets import KNOWN
from engine.ports.notifier import Approver, Click
from engine.ports.source import each_once
from engine.ports.store import Store
from engine.ports.stream import Stream
from engine.settings import LoadedSettings, Role, is_loopback
from engine.stages.commands import CommandStage
from engine.stages.gauges import GaugeStage
from engine.stages.queries import QueryStage
from engine.stages.stopping import StopFileStage
from engine.stages.tasks import TaskLoop
from engine.store.spooled_stream import SpooledStream

log = structlog.get_logger(__name__)

# To cancel what is cut short and to free its leases.
GIVE_BACK_S = 3.0
# From the end of the grace to the end of the process, whatever hangs: the two above, then open
# requests, the consumer group, connections.
CLOSE_WITHIN_S = 12.0
# A body of 100 alerts is some 2,000 objects, which the usual 700 would look at again and again
# while they are in use. So many are looked at in about a millisecond.
COLLECT_AFTER = (20_000, 10, 10)


@dataclass(frozen=True, slots=True)
class Engine:
    """All parts, opened; `run` makes them work until a signal or cancellation."""

    loaded: LoadedSettings
    catalogs: Catalogs
    reload: CatalogReload
    store: Store
    stream: Stream
    spool: SpooledStream | None
    store_time: StoreTime
    clock: Clock
    commands: CommandStage
    queries: QueryStage
    pipeline: Pipeline
    tasks: TaskLoop
    outbox: TaskLoop | None
    gauges: GaugeStage
    stop_file: StopFileStage
    approvers: tuple[Approver, ...]
    parts: GatewayParts
    tls: Tls | None
    token: SecretStr
    actions: Mapping[str, Action]
    watches: Watches
    shutdown: Shutdown

    async def run(self, roles: frozenset[Role], started: Callable[[str], None]) -> None:
        """Serve and work until a signal or cancellation; `started` gets the url, "" without one."""
        for name in KNOWN.masker.unmasked:
            log.warning("secret_not_masked", setting=name, hint=UNMASKED)
        # Before any task is claimed.
        await self.stop_file.look()
        app, address = self._served(roles)
        tls = self.tls if "gateway" in roles else None
        server = http_server(app, tls)
        with (
            stop_signals(self.shutdown.asked),
            on_hangup(self.reload.asked.set),
            contextlib.ExitStack() as sockets,
        ):
            listening = sockets.enter_context(listen_on(address)) if address else None
            async with asyncio.TaskGroup() as group:
                if listening is not None:
                    group.create_task(server.serve(sockets=[listening]))
                kept = {
                    name: group.create_task(self.watches.kept.keep(name, loop))
                    for name, loop in self._loops(roles)
                }
                # A collection over everything imported would hold the loop for 30-60 ms.
                gc.collect()
                gc.freeze()
                gc.set_threshold(*COLLECT_AFTER)
                url = ""
                if listening is not None and "gateway" in roles:
                    scheme = "https" if tls is not None else "http"
                    url = url_of(address, listening, scheme=scheme)
                started(url)
                self.watches.systemd.tell("READY=1")
                await self.shutdown.asked.wait()
                server.should_exit = True
                await self._end(kept)

    def _served(self, roles: frozenset[Role]) -> tuple[ASGIApp, str]:
        """The application of a process with these roles, and its address, "" for none."""
        settings = self.loaded.settings
        if "gateway" in roles:
            return build_gateway(self.parts), settings.listen
        address = settings.health_listen or ""
        parts = replace(self.parts, loopback=bool(address) and is_loopback(address))
        return HealthOnly(build_gateway(parts)), address

    def _loops(self, roles: frozenset[Role]) -> Iterator[tuple[str, Loop]]:
        yield "stop file", self.stop_file.watch
        yield "catalog", self.reload.run
        if self.spool is not None:
            yield "spool", self.spool.run
        yield "store time", self.store_time.run
        if "gateway" in roles:
            yield from self._feeds()
            if self.tls is not None:
                yield "tls", partial(self.tls.watch, self.clock, self.parts.metrics)
        if "pipeline" in roles:
            yield PIPELINE, self.pipeline.run
        if "worker" in roles:
            for name, tasks in self._task_loops():
                yield name, tasks.run
            yield "gauges", self.gauges.run
            for number, approver in enumerate(self.approvers):
                yield f"approver {number}", partial(approver.listen, self.decide)
        yield from self.watches.loops(roles)

    def _feeds(self) -> Iterator[tuple[str, Loop]]:
        """What the sources fetch themselves, kept like what is sent."""
        keeper = Keeper(self.parts.intake, self.parts.clock, self.parts.metrics)
        for source in each_once(self.parts.sources):
            for feed in source.feeds():
                yield f"source {source.name}: {feed.name}", partial(feed.run, keeper)

    def _task_loops(self) -> Iterator[tuple[str, TaskLoop]]:
        yield WORKER, self.tasks
        if self.outbox is not None:
            yield OUTBOX, self.outbox

    async def _end(self, kept: Mapping[str, asyncio.Task[None]]) -> None:
        """Take nothing more, let what is under way end within the grace, give the rest back."""
        grace_s = self.loaded.settings.stop_grace_s
        log.info("stopping", under_way=self.tasks.under_way, grace_s=grace_s)
        self.watches.systemd.tell("STOPPING=1")
        self.shutdown.bound(grace_s + CLOSE_WITHIN_S)
        async with asyncio.TaskGroup() as group:
            # At once, so that another replica takes its partitions.
            group.create_task(self._end_loop(PIPELINE, self.pipeline.finish, kept))
            for name, tasks in self._task_loops():
                group.create_task(self._end_loop(name, tasks.finish, kept))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GIVE_BACK_S):
                for _, tasks in self._task_loops():
                    await tasks.give_back()
        for each in kept.values():
            each.cancel()

    async def _end_loop(
        self,
        name: str,
        finish: Callable[[], Coroutine[None, None, None]],
        kept: Mapping[str, asyncio.Task[None]],
    ) -> None:
        if name not in kept:
            return
        try:
            async with asyncio.timeout(self.loaded.settings.stop_grace_s):
                await finish()
        except TimeoutError:
            log.warning("cut_short", loop=name)
        kept[name].cancel()
        await asyncio.wait([kept[name]], timeout=GIVE_BACK_S)

    async def decide(self, click: Click) -> str:
        """A person's click as an order; the answer is a sentence for that person."""
        roles = self.loaded.settings.roles_of(click.actor)
        try:
            decided = await self.commands.decide(
                click.approval_id,
                click.decision,
                plan_hash=click.plan_hash,
                by=By(click.actor, click.via, roles),
                reason=click.reason,
            )
        except TransientError:
            raise
        except QuellError as error:
            return KNOWN.mask(str(error))
        return decided.sentence
