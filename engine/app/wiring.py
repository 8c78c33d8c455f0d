"""One straight line from settings to a running engine."""

import asyncio
import contextlib
import gc
import getpass
import hmac
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import structlog
from pydantic import SecretStr

from connectors import registry
from engine.app.activation import Catalogs, activate
from engine.app.audit_keys import checking_keys, configured_signer, folder_signer
from engine.app.configured import load_connectors
from engine.app.opening import open_publisher, open_store, open_stream
from engine.app.process import (
    SystemClock,
    http_server,
    listen_on,
    stop_signals,
    url_of,
)
from engine.app.stop_file import reason_in, stop_file_of
from engine.app.workers import Ground, outbox, task_loop
from engine.core.access import ADMIN
from engine.errors import ConfigError, QuellError, TransientError
from engine.gateway.app import build_gateway
from engine.gateway.intake import parse_again
from engine.gateway.parts import GatewayParts
from engine.pipeline import Pipeline
from engine.ports.action import Action
from engine.ports.clock import Clock
from engine.ports.commands import By
from engine.ports.metrics import Metrics
from engine.ports.notifier import Approver, Click
from engine.ports.source import Source
from engine.ports.store import Store
from engine.ports.stream import Stream
from engine.settings import LoadedSettings, Role, Settings
from engine.stages.checkpoints import schedule_checkpoints
from engine.stages.commands import CommandStage
from engine.stages.gauges import GaugeStage
from engine.stages.intake import StreamIntake
from engine.stages.queries import QueryStage
from engine.stages.replaying import ReplayStage
from engine.stages.repositioning import RepositionStage
from engine.stages.stopping import StopFileStage
from engine.stages.tasks import TaskLoop
from engine.store.directory import DataDirectory
from engine.store.spooled_stream import SpooledStream

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Engine:
    """All parts, opened; `run` makes them work until a signal or cancellation."""

    loaded: LoadedSettings
    catalogs: Catalogs
    store: Store
    stream: Stream
    spool: SpooledStream | None
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
    token: SecretStr
    actions: Mapping[str, Action]

    async def run(self, roles: frozenset[Role], started: Callable[[str], None]) -> None:
        """Serve and work until a signal or cancellation; `started` gets the url, "" without one."""
        settings, stop = self.loaded.settings, asyncio.Event()
        # Before any task is claimed.
        await self.stop_file.look()
        server = http_server(self.loaded, build_gateway(self.parts))
        with stop_signals(stop), contextlib.ExitStack() as sockets:
            listening, url = None, ""
            if "gateway" in roles:
                listening = sockets.enter_context(listen_on(settings))
                url = url_of(settings, listening)
            async with asyncio.TaskGroup() as group:
                if listening is not None:
                    group.create_task(server.serve(sockets=[listening]))
                loops = [group.create_task(each) for each in self._loops(roles)]
                # A collection over everything imported would hold the loop for 30-60 ms.
                gc.collect()
                gc.freeze()
                started(url)
                await stop.wait()
                server.should_exit = True
                for each in loops:
                    each.cancel()

    def _loops(self, roles: frozenset[Role]) -> Iterator[Coroutine[None, None, None]]:
        yield self.stop_file.watch()
        if self.spool is not None:
            yield self.spool.run()
        if "pipeline" in roles:
            yield self.pipeline.run()
        if "worker" in roles:
            yield self.tasks.run()
            if self.outbox is not None:
                yield self.outbox.run()
            yield self.gauges.run()
            for approver in self.approvers:
                yield approver.listen(self.decide)

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
            return str(error)
        return decided.sentence


@asynccontextmanager
async def open_engine(loaded: LoadedSettings) -> AsyncIterator[Engine]:
    """Open every part, and close them in reverse. Raises ConfigError with all mistakes."""
    settings, clock, metrics = loaded.settings, SystemClock(), Metrics()
    token = settings.access.token or SecretStr(secrets.token_urlsafe(32))
    parts = load_connectors(loaded)
    _refuse_open_doors(settings, parts.sources)
    signer = configured_signer(settings)
    async with AsyncExitStack() as stack:
        parts.close_with(stack)
        publisher = parts.publisher
        store = await open_store(loaded, clock, stack, publishes=publisher is not None)
        stream, spool = await open_stream(loaded, parts.stream, store, clock, stack)
        spooled = spool.spooled if spool is not None else int
        intake = StreamIntake(store, stream, clock)
        catalogs = Catalogs(parts.catalog, registry.by_name(parts.actions.values()))
        signer = signer or folder_signer(settings)
        await open_publisher(publisher)
        await store.write(partial(activate, catalog=parts.catalog))
        await store.write(schedule_checkpoints)
        ground = Ground(settings, parts, store, stream, clock, metrics, catalogs)
        keys = checking_keys(signer, settings.audit.verify_keys)
        stop_path = DataDirectory(settings.data).stop_path
        commands = CommandStage(store, clock, catalogs, partial(stop_file_of, stop_path))
        queries = QueryStage(store, stream, partial(_bodies, metrics), spooled, lambda: keys)
        parse = partial(parse_again, parts.sources)
        pipeline = Pipeline(store, stream, clock, catalogs, metrics)
        yield Engine(
            loaded=loaded,
            catalogs=catalogs,
            store=store,
            stream=stream,
            spool=spool,
            clock=clock,
            commands=commands,
            queries=queries,
            pipeline=pipeline,
            stop_file=StopFileStage(commands, queries, clock, partial(reason_in, stop_path)),
            gauges=GaugeStage(store, stream, clock, metrics, spooled),
            tasks=task_loop(ground, signer),
            outbox=outbox(ground),
            approvers=parts.approvers,
            parts=GatewayParts(
                sources=parts.sources,
                intake=intake,
                commands=commands,
                queries=queries,
                replays=ReplayStage(store, stream, intake, parse, ground.author),
                repositions=RepositionStage(store, stream, metrics, ground.author),
                clock=clock,
                authenticate=partial(_authenticate, token),
                loopback=settings.loopback,
                ready=partial(_not_ready, store, stream),
                alive=pipeline.problems,
                metrics=metrics,
                version=version("quell"),
            ),
            token=token,
            actions=parts.actions,
        )


def _refuse_open_doors(settings: Settings, sources: Mapping[str, Sequence[Source]]) -> None:
    """Raises ConfigError where other machines could come in without credentials."""
    if settings.loopback:
        return
    missing = [] if settings.access.token is not None else ["access.token"]
    missing += sorted(
        f"credentials at sources.{name}"
        for name, found in sources.items()
        for source in found
        if source.name == name and not source.has_credentials
    )
    if missing:
        raise ConfigError(
            f"{settings.listen} can be reached from other machines: set "
            f"{' and '.join(missing)}, or listen on 127.0.0.1"
        )


def _bodies(metrics: Metrics) -> tuple[int, int, int]:
    """Bodies of alerts received, appended and dead-lettered since this process started."""
    by_code: Counter[str] = Counter()
    for family in metrics.intake_requests.collect():
        for sample in family.samples:
            by_code[sample.labels.get("code", "")] += int(sample.value)
    appended, dead_lettered = by_code["200"], by_code["400"] + by_code["422"]
    return appended + dead_lettered, appended, dead_lettered


def _authenticate(secret: SecretStr, token: str) -> By | None:
    if hmac.compare_digest(secret.get_secret_value().encode(), token.encode()):
        return local_actor("api")
    return None


def local_actor(via: str) -> By:
    """Who holds the installation's own token, or may read its files."""
    return By(f"local:{getpass.getuser()}", via, frozenset({ADMIN}))


async def _not_ready(store: Store, stream: Stream) -> list[str]:
    """What keeps this process from taking alerts."""
    problems = []
    try:
        await store.read(lambda tx: tx.now)
    except TransientError as error:
        problems.append(f"store: {error}")
    try:
        await stream.check()
    except TransientError as error:
        problems.append(f"stream: {error}")
    return problems
