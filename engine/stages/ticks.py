"""Timers: a due one becomes a record on the stream, so that the pipeline decides on it in order."""

from dataclasses import dataclass

from engine.core.records import encode_tick, timer_tick
from engine.ports.clock import Clock
from engine.ports.rows import Task
from engine.ports.store import Store
from engine.ports.stream import Message, Stream


@dataclass(frozen=True, slots=True)
class TickStage:
    """Appends the tick of a due timer; appending it again after a crash changes nothing."""

    store: Store
    stream: Stream
    clock: Clock

    async def fire(self, task: Task) -> None:
        """Handle a `tick` task; its key is `<timer>/<subject>`."""
        tick = timer_tick(task.key, task.not_before)
        message = Message(
            key=str(task.payload["partition_key"]), value=encode_tick(tick, self.clock.now())
        )
        await self.stream.append([message])
        await self.store.write(lambda tx: tx.finish_task(task))
