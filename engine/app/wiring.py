"""One straight line from settings to a running engine."""

import getpass
import hmac
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version

import structlog
from pydantic import SecretStr

from connectors import registry
from engine.app.activation import Catalogs, activate
from engine.app.audit_keys import checking_keys, configured_signer, folder_signer
from engine.app.beginning import load_parts
from engine.app.configured import Connectors
from engine.app.engine import Engine
from engine.app.loops import Loops
from engine.app.open_doors import refuse_open_doors
from engine.app.opening import open_publisher, open_store, open_stream, open_time
from engine.app.process import Shutdown, SystemClock
from engine.app.reloading import CatalogReload
from engine.app.stop_file import reason_in, stop_file_of
from engine.app.watches import Watched, not_ready, watches
from engine.app.workers import Ground, outbox, task_loop
from engine.core.access import ADMIN
from engine.core.catalog import Catalog
from engine.core.retention import Retention
from engine.errors import ConfigError, TransientError
from engine.gateway.access import TrustedProxy
from engine.gateway.keeping import finish_again, parse_again
from engine.gateway.parts import GatewayParts, Limits
from engine.pipeline import Pipeline
from engine.ports.commands import By
from engine.ports.known_secrets import KNOWN
from engine.ports.metrics import Metrics
from engine.ports.store import Store, Tx
from engine.settings import LoadedSettings, Settings
from engine.stages.changing import ChangeStage
from engine.stages.checkpoints import schedule_checkpoints
from engine.stages.commands import CommandStage
from engine.stages.gauges import GaugeStage
from engine.stages.housekeeping import schedule_housekeeping
from engine.stages.intake import StreamIntake
from engine.stages.queries import QueryStage
from engine.stages.replaying import ReplayStage
from engine.stages.repositioning import RepositionStage
from engine.stages.stopping import StopFileStage
from engine.stages.switching import SwitchStage
from engine.store.directory import DataDirectory

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_engine(loaded: LoadedSettings) -> AsyncIterator[Engine]:
    """Open every part, and close them in reverse. Raises ConfigError with all mistakes."""
    settings, machine, metrics = loaded.settings, SystemClock(), Metrics()
    shutdown, token = Shutdown(), settings.access.token or _made_token()
    (parts, refused), signer = await load_parts(loaded, machine), configured_signer(settings)
    refuse_open_doors(settings, parts.sources)
    async with AsyncExitStack() as stack:
        stack.callback(shutdown.done)  # called last: until then something may hang
        parts.close_with(stack)
        store = await open_store(loaded, machine, stack, publishes=parts.publisher is not None)
        clock, store_time = await open_time(store, machine)
        stream, spool = await open_stream(loaded, parts.stream, store, clock, stack)
        spooled = spool.spooled if spool is not None else int
        intake = StreamIntake(store, stream, clock, settings.retention)
        catalogs, reload = _catalogs(loaded, parts, store, machine, metrics)
        signer = signer or folder_signer(settings)
        await open_publisher(parts.publisher)
        await _take_up(store, catalogs, reload, refused)
        ground = Ground(settings, parts, store, stream, clock, machine, metrics, catalogs)
        keys = checking_keys(signer, settings.audit.verify_keys)
        stop_path = DataDirectory(settings.data).stop_path
        commands = CommandStage(store, clock, catalogs, partial(stop_file_of, stop_path))
        queries = QueryStage(store, stream, partial(_bodies, metrics), spooled, lambda: keys)
        pipeline = Pipeline(store, stream, clock, catalogs, metrics, settings.retention)
        tasks = task_loop(ground, signer, shutdown)
        watched = Watched(store, stream, spool, pipeline, tasks, Loops(clock, metrics))
        seen = watches(watched, clock, metrics, parts.emergency)
        yield Engine(
            loaded=loaded,
            catalogs=catalogs,
            reload=reload,
            store=store,
            stream=stream,
            spool=spool,
            store_time=store_time,
            clock=clock,
            commands=commands,
            queries=queries,
            pipeline=pipeline,
            stop_file=StopFileStage(commands, queries, clock, partial(reason_in, stop_path)),
            gauges=GaugeStage(store, stream, clock, metrics, spooled),
            tasks=tasks,
            watches=seen,
            shutdown=shutdown,
            outbox=outbox(ground),
            approvers=parts.approvers,
            parts=GatewayParts(
                sources=parts.sources,
                intake=intake,
                commands=commands,
                queries=queries,
                replays=_replays(ground, intake),
                repositions=RepositionStage(store, stream, metrics, ground.author),
                switches=SwitchStage(store, ground.author),
                changes=ChangeStage(store, ground.catalogs),
                clock=clock,
                authenticate=partial(_authenticate, token, settings),
                loopback=settings.loopback,
                warnings=partial(_warnings, store, settings.retention, reload),
                ready=partial(not_ready, store, stream, seen.watch),
                alive=seen.watch.problems,
                metrics=metrics,
                version=version("quell"),
                limits=Limits(**dict(settings.intake)),
                proxy=_proxy(settings),
            ),
            tls=parts.tls,
            token=token,
            actions=parts.actions,
        )


def _catalogs(
    loaded: LoadedSettings, parts: Connectors, store: Store, machine: SystemClock, metrics: Metrics
) -> tuple[Catalogs, CatalogReload]:
    """The catalog that decides, and what takes up edits of it."""
    catalogs = Catalogs(parts.catalog, registry.by_name(parts.actions.values()))
    actor = local_actor("files").actor
    return catalogs, CatalogReload(loaded, catalogs, store, machine, metrics, actor=actor)


async def _take_up(
    store: Store, catalogs: Catalogs, reload: CatalogReload, refused: ConfigError | None
) -> None:
    """Activate what the files say, or said before they were refused, as far as it may go."""
    files = catalogs.active
    catalogs.active = await store.write(partial(_begin, catalog=files))
    reload.hold(files)
    if refused is not None:
        reload.refuse(refused)


def _begin(tx: Tx, catalog: Catalog) -> Catalog:
    """What decides from here on, and what comes back by itself."""
    active = activate(tx, catalog, local_actor("start").actor)
    schedule_checkpoints(tx)
    schedule_housekeeping(tx)
    return active


def _replays(ground: Ground, intake: StreamIntake) -> ReplayStage:
    sources = ground.connectors.sources
    parse, finish = partial(parse_again, sources), partial(finish_again, sources, ground.clock)
    return ReplayStage(ground.store, ground.stream, intake, parse, finish, ground.author)


async def _warnings(store: Store, retention: Retention, reload: CatalogReload) -> list[str]:
    """What an operator should see before senders do."""
    files = reload.warnings()
    try:
        usage = await store.read(lambda tx: tx.dead_letter_usage())
    except TransientError:
        return files  # which is a problem of its own
    problem = retention.nearly_full(usage.with_body, usage.size)
    return [*files, *([problem] if problem else [])]


def _made_token() -> SecretStr:
    token = secrets.token_urlsafe(32)
    KNOWN.keep("access.token", token)
    return SecretStr(token)


def _proxy(settings: Settings) -> TrustedProxy | None:
    section = settings.proxy
    if section is None:
        return None
    return TrustedProxy(section.certificate_header.lower(), section.addresses)


def _bodies(metrics: Metrics) -> tuple[int, int, int]:
    """Bodies of alerts received, appended and dead-lettered since this process started."""
    by_code: Counter[str] = Counter()
    for family in metrics.intake_requests.collect():
        for sample in family.samples:
            by_code[sample.labels.get("code", "")] += int(sample.value)
    appended, dead_lettered = by_code["200"], by_code["400"] + by_code["422"]
    return appended + dead_lettered, appended, dead_lettered


def _authenticate(secret: SecretStr, settings: Settings, token: str) -> By | None:
    """Each is compared, so that the time tells nothing."""
    holders = [
        By(f"token:{name}", "api", settings.roles_of(f"token:{name}"))
        for name, own in settings.access.tokens.items()
        if _is_same(own, token)
    ]
    return local_actor("api") if _is_same(secret, token) else next(iter(holders), None)


def _is_same(secret: SecretStr, token: str) -> bool:
    return hmac.compare_digest(secret.get_secret_value().encode(), token.encode())


def local_actor(via: str) -> By:
    """Who holds the installation's own token, or may read its files."""
    return By(f"local:{getpass.getuser()}", via, frozenset({ADMIN}))
