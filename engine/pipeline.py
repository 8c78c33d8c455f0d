"""Start here: the flow on one screen.

    source ─HTTP▶ gateway ─▶ intake ─▶ stream        acknowledged only after a durable append
    stream ─▶ Pipeline (this file): decide           one transaction a batch, position included
    tasks  ─▶ TaskLoop: runs, messages, postmortems, tickets, timers

A redelivered record changes nothing: its batch can't move the position twice. A consumer that
lost its partition is fenced the same way and goes on with what it still has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from engine.core.retention import USUAL, Retention
from engine.errors import (
    ConflictError,
    FencedError,
    OutcomeUnknownError,
    PermanentError,
    TransientError,
)
from engine.ports.catalogs import ActiveCatalog
from engine.ports.clock import Clock
from engine.ports.metrics import Metrics
from engine.ports.store import Store
from engine.ports.stream import Batch, Stream, Subscription
from engine.stages.deciding import Decided, decide

log = structlog.get_logger(__name__)

# One transaction's worth: large enough to share an fsync, small enough to hold the loop briefly.
MAX_RECORDS = 500
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Reads the stream and decides, batch by batch, until cancelled.

    `stopped` says which partitions can't go on and why; the others do.
    """

    store: Store
    stream: Stream
    clock: Clock
    catalogs: ActiveCatalog
    metrics: Metrics
    retention: Retention = USUAL
    stopped: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Consume; a store or broker that is away is waited for, nothing is skipped."""
        while True:
            try:
                async with self.stream.subscribe(
                    self._positions, max_records=MAX_RECORDS
                ) as subscription:
                    await self._consume_all(subscription)
            except (TransientError, OutcomeUnknownError) as error:
                # After a lost commit the store's positions tell whether the batch is in it.
                log.warning("pipeline_waits", error=str(error))
                await self.clock.sleep(RETRY_S)

    async def _positions(self, partitions: Sequence[int]) -> Mapping[int, int]:
        name = self.stream.name
        return await self.store.read(
            lambda tx: {partition: tx.position(name, partition) for partition in partitions}
        )

    async def _position(self, partition: int) -> int:
        return (await self._positions([partition]))[partition]

    async def _consume_all(self, subscription: Subscription) -> None:
        while True:
            try:
                await self._consume(subscription)
            except PermanentError as error:
                log.error("partition_stopped", problem=str(error))
                if str(error) not in self.stopped:
                    self.stopped.append(str(error))

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
        catalog, name = self.catalogs.active, self.stream.name
        return await self.store.write(
            lambda tx: decide(tx, name, batch, expected, catalog, self.retention)
        )

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
