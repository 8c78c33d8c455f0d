"""Timers: a due one becomes a record on the stream, so that the pipeline decides on it in order."""

from dataclasses import dataclass, field
from datetime import timedelta

from engine.core.records import encode_tick, timer_tick
from engine.ports.clock import Clock
from engine.ports.rows import Task
from engine.ports.store import Store
from engine.ports.stream import Appendable, Message

# Prometheus sends what fires again each minute, from its next evaluation on, a minute apart too.
HEARD_AGAIN_WITHIN_S = 150.0


@dataclass(frozen=True, slots=True)
class TickStage:
    """Appends the tick of a due timer; appending it again after a crash changes nothing.

    `started_s` is when this process began, by its monotonic clock.
    """

    store: Store
    stream: Appendable
    clock: Clock
    started_s: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "started_s", self.clock.monotonic())

    async def fire(self, task: Task) -> None:
        """Handle a `tick` task; its key is `<timer>/<subject>`."""
        tick = timer_tick(task.key, task.not_before)
        if tick.timer in ("occurrence_expiry", "absence"):
            # While quell was away nobody could tell it that something still fires, or lives.
            wait_s = self.started_s + HEARD_AGAIN_WITHIN_S - self.clock.monotonic()
            if wait_s > 0:
                wait = timedelta(seconds=wait_s)
                await self.store.write(lambda tx: tx.release_task(task, tx.now + wait))
                return
        message = Message(
            key=str(task.payload["partition_key"]), value=encode_tick(tick, self.clock.now())
        )
        await self.stream.append([message])
        await self.store.write(lambda tx: tx.finish_task(task))
