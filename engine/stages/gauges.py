"""Figures that nobody's work sets by itself: what waits, and whether all is accounted for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import structlog

from engine.errors import TransientError
from engine.ports.clock import Clock
from engine.ports.metrics import Metrics
from engine.ports.reached import Reached, reached
from engine.ports.rows import DeadLetterUsage
from engine.ports.store import Store, Tx
from engine.ports.stream import Stream

log = structlog.get_logger(__name__)

# As often as a Prometheus usually scrapes.
LOOK_EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class GaugeStage:
    """Looks at store and stream from time to time, until cancelled.

    `spooled` gives how many records wait on this machine's disk until the stream is back.
    """

    store: Store
    stream: Stream
    clock: Clock
    metrics: Metrics
    spooled: Callable[[], int] = int

    async def run(self) -> None:
        """Keep the gauges true; while store or stream are away they keep their last figures."""
        while True:
            try:
                await self.look()
            except TransientError as error:
                log.warning("gauges_wait", error=str(error))
            await self.clock.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Set every gauge once. Raises TransientError."""
        # Before the stream is asked, because this figure matters most while it is away.
        self.metrics.spooled.set(self.spooled())
        ends = await self.stream.end_offsets()

        found, waiting, counters, letters = await self.store.read(partial(self._read, ends))
        self.metrics.dead_letters_kept.labels(body="yes").set(letters.with_body)
        self.metrics.dead_letters_kept.labels(body="no").set(letters.bodiless)
        self.metrics.dead_letters_kept_bytes.set(letters.size)
        for partition, each in found.items():
            self.metrics.stream_lag.labels(partition=str(partition)).set(each.waiting)
        self.metrics.tasks_waiting.clear()
        for kind, count in waiting.items():
            self.metrics.tasks_waiting.labels(kind=kind).set(count)
        decided = sum(n for name, n in counters.items() if name.startswith("disposition/"))
        # Of earlier streams too, because dispositions aren't told apart by stream.
        records = sum(n for name, n in counters.items() if name.startswith("records/"))
        self.metrics.balance_difference.set(records - decided)

    def _read(
        self, ends: Mapping[int, int], tx: Tx
    ) -> tuple[Mapping[int, Reached], Mapping[str, int], Mapping[str, int], DeadLetterUsage]:
        found = reached(tx, self.stream.name, ends)
        return found, tx.waiting_tasks(), tx.counters(), tx.dead_letter_usage()
