"""What sees whether quell works, and tells: the watch, its alarms, the emergency address."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial

from engine.app.loop_lag import LoopLag
from engine.app.loops import Loop, Loops
from engine.app.process import worker_name
from engine.app.systemd import Systemd
from engine.core.emergency import Trouble
from engine.errors import TransientError
from engine.pipeline import Pipeline
from engine.ports.clock import Clock
from engine.ports.emergency import Emergency
from engine.ports.metrics import Metrics
from engine.ports.store import Store
from engine.ports.stream import Stream
from engine.settings import Role, notify_socket
from engine.stages.alarms import AlarmStage
from engine.stages.emergencies import EmergencyStage
from engine.stages.tasks import TaskLoop
from engine.stages.watching import Own, WatchStage
from engine.store.spooled_stream import SpooledStream

PIPELINE, WORKER, OUTBOX = "pipeline", "worker", "outbox"
# A load balancer asks again soon.
READY_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched; which of it this process runs, `loops` knows."""

    store: Store
    stream: Stream
    spool: SpooledStream | None
    pipeline: Pipeline
    tasks: TaskLoop
    loops: Loops


@dataclass(frozen=True, slots=True)
class Watches:
    """The stages, and the loops that the process keeps going."""

    kept: Loops
    watch: WatchStage
    alarms: AlarmStage
    emergency: EmergencyStage | None
    lag: LoopLag
    systemd: Systemd

    def loops(self, roles: frozenset[Role]) -> Iterator[tuple[str, Loop]]:
        """Those that belong to a process with these roles, by name."""
        yield "loop lag", self.lag.run
        yield "watch", self.watch.run
        if "worker" in roles:
            yield "alarms", self.alarms.run
        if self.emergency is not None:
            yield "emergency", self.emergency.run
        if self.systemd.address:
            yield "systemd", self.systemd.run


def watches(watched: Watched, clock: Clock, metrics: Metrics, address: Emergency | None) -> Watches:
    """All of them over one process's parts."""
    loops, pipeline, spool = watched.loops, watched.pipeline, watched.spool
    own = Own(
        assigned=lambda: pipeline.assigned if loops.keeps(PIPELINE) else None,
        stopped=lambda: pipeline.stopped,
        free_places=lambda: watched.tasks.free_places if loops.keeps(WORKER) else 0,
        failing=loops.failing,
        takes_alerts=watched.stream.check if spool is None else spool.check_keeping,
        stream_away=lambda: "" if spool is None else spool.away,
        mend=partial(loops.begin_anew, PIPELINE),
    )
    watch = WatchStage(watched.store, watched.stream, clock, metrics, own)
    alarms = AlarmStage(
        watched.store, watched.stream, clock, lambda: watch.standing, lambda: pipeline.stopped
    )

    def troubles() -> list[Trouble]:
        found = {each.name: each for each in (*alarms.troubles(), *watch.troubles())}
        return list(found.values())

    emergency = None
    if address is not None:
        spooled = int if spool is None else spool.spooled
        emergency = EmergencyStage(address, clock, metrics, worker_name(), troubles, spooled)
    systemd = Systemd(notify_socket(), clock, watch.problems)
    return Watches(loops, watch, alarms, emergency, LoopLag(metrics), systemd)


async def not_ready(store: Store, stream: Stream, watch: WatchStage) -> list[str]:
    """What keeps this process from doing its work, asked now and seen by the watch."""
    problems = {}
    asked: dict[str, Callable[[], Awaitable[object]]] = {
        "store": lambda: store.read(lambda tx: tx.now),
        "stream": stream.check,
    }
    for name, ask in asked.items():
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                await ask()
        except TransientError as error:
            problems[name] = f"{name}: {error}"
        except TimeoutError:
            problems[name] = f"{name}: no answer within {READY_WITHIN_S:.0f} s"
    # The watch writes, and a full disk can still be read.
    return [*problems.values(), *(each for n, each in watch.unready() if n not in problems)]
