"""What workers do, kind by kind: the handlers of durable tasks, from the parts that they need."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from engine.app.activation import Catalogs
from engine.app.configured import Connectors
from engine.app.process import Shutdown, worker_name
from engine.core.sla import Sla
from engine.ports.clock import Clock
from engine.ports.confirming import Confirming
from engine.ports.metrics import Metrics
from engine.ports.recording import Author
from engine.ports.rows import TaskKind
from engine.ports.store import Store
from engine.ports.stream import Stream
from engine.ports.tracker import Tracker
from engine.settings import Settings
from engine.signing import Ed25519Signer
from engine.stages.checkpoints import CheckpointStage
from engine.stages.clocks import ClockStage
from engine.stages.housekeeping import HousekeepingStage
from engine.stages.messages import MessageStage
from engine.stages.publishing import PUBLISHED_AT_ONCE, PublishStage
from engine.stages.records import RecordsStage
from engine.stages.runs import Pace, RunStage
from engine.stages.tasks import Handler, TaskLoop
from engine.stages.ticks import TickStage
from engine.store.embedded_stream import EmbeddedStream
from engine.store.postmortem_files import keep_postmortem
from engine.store.sqlite_store import SqliteStore


@dataclass(frozen=True, slots=True)
class Ground:
    """What every part of one engine stands on, opened.

    `clock` dates things; `machine` is the machine's own, which changes are held against.
    """

    settings: Settings
    connectors: Connectors
    store: Store
    stream: Stream
    clock: Clock
    machine: Clock
    metrics: Metrics
    catalogs: Catalogs

    def author(self) -> Author:
        """Who writes what the engine decides by itself now."""
        return Author(catalog=self.catalogs.active.version)


def task_loop(ground: Ground, signer: Ed25519Signer | None, shutdown: Shutdown) -> TaskLoop:
    """Workers for every kind of task but what has an outbox.

    `signer` signs checkpoints, None leaves them unsigned.
    """
    parts, store, clock = ground.connectors, ground.store, ground.clock
    sources = {each.name: each for found in parts.sources.values() for each in found}
    runs = RunStage(
        store,
        ground.machine,
        ground.catalogs,
        parts.actions,
        Confirming(sources, clock),
        ground.metrics,
        pace=partial(_pace, shutdown, store),
    )
    messages = MessageStage(store, parts.notifiers, ground.author)
    records = _records(ground.settings, store, parts.tracker, ground.author)
    handlers: dict[TaskKind, Handler] = {
        "run": runs.advance,
        "message": messages.tell,
        "postmortem": records.write_postmortem,
        "ticket": records.open_ticket,
        "tick": TickStage(store, ground.stream, clock).fire,
        "clock": ClockStage(store, Sla.of(ground.settings.sla), ground.author).watch,
        "checkpoint": CheckpointStage(store, signer, parts.checkpoint_copies, ground.metrics).sign,
        "housekeeping": _housekeeping(ground).keep,
    }
    if parts.publisher is None:
        # What another configuration left.
        handlers["publish"] = _publishing(ground).publish
    return TaskLoop(
        store,
        clock,
        worker_name(),
        handlers,
        ground.metrics,
        parks={"run": runs.park},
        fenced={"message": messages.tell_again},
    )


def outbox(ground: Ground) -> TaskLoop | None:
    """Workers for what is published; None where nobody follows incidents.

    While a broker is away, they wait, and hold no slot that a run needs.
    """
    if ground.connectors.publisher is None:
        return None
    publishing = _publishing(ground)
    return TaskLoop(
        ground.store,
        ground.clock,
        worker_name(),
        {"publish": publishing.publish},
        ground.metrics,
        fenced={"publish": publishing.publish_again},
        concurrent=PUBLISHED_AT_ONCE,
    )


def _publishing(ground: Ground) -> PublishStage:
    return PublishStage(ground.store, ground.connectors.publisher, ground.metrics)


def _pace(shutdown: Shutdown, store: Store) -> Pace:
    """Whether runs may begin something: its outcome should find room in the journal, too."""
    if shutdown.asked.is_set():
        return "stopping"
    return "waiting" if isinstance(store, SqliteStore) and store.is_full() else "on"


def _housekeeping(ground: Ground) -> HousekeepingStage:
    own = ground.stream if isinstance(ground.stream, EmbeddedStream) else None
    return HousekeepingStage(ground.store, own, ground.settings.retention, ground.metrics)


def _records(
    settings: Settings, store: Store, tracker: Tracker | None, author: Callable[[], Author]
) -> RecordsStage:
    folder = settings.records.postmortems or settings.data / "postmortems"
    keep = partial(keep_postmortem, folder)
    return RecordsStage(store, keep, tracker, Sla.of(settings.sla), author)
