"""Start here: the flow on one screen.

    source ─HTTP▶ gateway ─▶ intake ─▶ stream        acknowledged only after a durable append
    stream ─▶ Pipeline (this file): decide           one transaction a batch, position included
    tasks  ─▶ TaskLoop: runs, messages, postmortems, tickets, timers

A redelivered record changes nothing: its batch can't move the position twice. A consumer that
lost its partition is fenced the same way and goes on with what it still has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from engine.core.positions import Refused, placement
from engine.errors import (
    ConflictError,
    FencedError,
    OutcomeUnknownError,
    StoppedError,
    TransientError,
)
from engine.ports.catalogs import ActiveCatalog
from engine.ports.clock import Clock
from engine.ports.metrics import Metrics
from engine.ports.store import Store, Tx
from engine.ports.stream import Batch, Stream, Subscription
from engine.stages.deciding import Decided, decide

log = structlog.get_logger(__name__)

# One transaction's worth: large enough to share an fsync, small enough to hold the loop briefly.
MAX_RECORDS = 500
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class _Stop:
    """Why a partition is held still, and the stored position then; None: none in this log."""

    reason: str
    at: int | None


@dataclass(slots=True)
class Pipeline:
    """Reads the stream and decides, batch by batch, until cancelled.

    A partition that can't go on is held still, and the others do, until a person sets its
    position.
    """

    store: Store
    stream: Stream
    clock: Clock
    catalogs: ActiveCatalog
    metrics: Metrics
    # What the current subscription reads, whatever takes its place in the stream meanwhile.
    _log: str = ""
    _stops: dict[int, _Stop] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """Why partitions of this process can't go on; empty while all can."""
        return list(dict.fromkeys(stop.reason for stop in self._stops.values()))

    async def run(self) -> None:
        """Consume; a store or broker that is away is waited for, nothing is skipped."""
        while True:
            try:
                async with self.stream.subscribe(
                    self._positions, max_records=MAX_RECORDS
                ) as subscription:
                    self._begin(self.stream.name)
                    await self._consume_all(subscription)
            except (TransientError, OutcomeUnknownError, FencedError) as error:
                # After a lost commit the store's positions tell whether the batch is in it, and
                # what another replica moved meanwhile.
                log.warning("pipeline_waits", error=str(error))
                await self.clock.sleep(RETRY_S)

    def _begin(self, name: str) -> None:
        if name != self._log:
            self._log, self._stops = name, {}

    async def _positions(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """Of those that may be read; the others are stopped."""
        stored = await self.store.read(lambda tx: tx.positions(self._log))
        found, stops = dict[int, int](), dict[int, _Stop]()
        for partition in partitions:
            placed = placement(self._log, partition, stored.get(partition, {}))
            known = self._stops.get(partition)
            if isinstance(placed, Refused):
                stops[partition] = _Stop(placed.reason, None)
            elif known is not None and known.at == placed.offset:
                stops[partition] = known  # nobody has set it yet
            else:
                found[partition] = placed.offset
                if placed.is_adopted:
                    await self.store.write(partial(_adopt, self._log, partition, placed.offset))
        self._tell_stops(stops)
        self._stops = stops
        return found

    async def _position(self, partition: int) -> int:
        return await self.store.read(lambda tx: tx.position(self._log, partition))

    async def _consume_all(self, subscription: Subscription) -> None:
        while True:
            try:
                await self._consume(subscription)
            except StoppedError as error:
                stops = {
                    partition: _Stop(reason, await self._position(partition))
                    for partition, reason in error.reasons.items()
                }
                self._tell_stops(stops)
                self._stops.update(stops)

    async def _consume(self, subscription: Subscription) -> None:
        async for batch in subscription.batches():
            partition = batch.partition
            expected = await self._position(partition)
            if batch.records[0].offset < expected:
                # Another consumer was here, or this one read ahead of its own commit.
                await subscription.rewind(partition, expected)
                continue
            try:
                with self.metrics.stage_seconds.labels(stage="pipeline").time():
                    decided = await self._decide(batch, expected)
            except (FencedError, ConflictError) as error:
                # Another replica was faster: with this partition, or with an incident that both
                # were about to open. Reading again finds what it wrote.
                log.warning("batch_again", partition=partition, reason=str(error))
                await subscription.rewind(partition, await self._position(partition))
                continue
            self._tell(batch, decided)

    async def _decide(self, batch: Batch, expected: int) -> Decided:
        catalog, name = self.catalogs.active, self._log
        return await self.store.write(lambda tx: decide(tx, name, batch, expected, catalog))

    def _tell_stops(self, stops: Mapping[int, _Stop]) -> None:
        for partition, stop in stops.items():
            if self._stops.get(partition) != stop:
                log.error("partition_stopped", partition=partition, problem=stop.reason)

    def _tell(self, batch: Batch, decided: Decided) -> None:
        for disposition, count in decided.dispositions.items():
            self.metrics.dispositions.labels(disposition=disposition).inc(count)
        self.metrics.last_progress.labels(part="pipeline").set(self.clock.now().timestamp())
        for incident in decided.opened:
            self.metrics.incidents_opened.labels(severity=incident.severity.name).inc()
            log.info(
                "incident_opened",
                incident_id=incident.id,
                incident=incident.name,
                severity=incident.severity.name,
                rule=incident.rule_id,
            )
        for failure in decided.failures:
            log.warning("expression_failed", problem=failure)


def _adopt(log_name: str, partition: int, offset: int, tx: Tx) -> None:
    """Keep a position that was stored before the log's id was known as one in this log."""
    tx.advance(log_name, partition, 0, offset)
