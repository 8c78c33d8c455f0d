"""Start here: the flow on one screen.

    source ─HTTP▶ gateway ─▶ intake ─▶ stream        acknowledged only after a durable append
    stream ─▶ Pipeline (this file): decide           one transaction a batch, position included
    tasks  ─▶ TaskLoop: runs, messages, postmortems, tickets, timers

A redelivered record changes nothing: its batch can't move the position twice. A consumer that
lost its partition is fenced the same way and goes on with what it still has.
"""

import asyncio
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import structlog

from engine.core.retention import USUAL, Retention
from engine.errors import (
    ConflictError,
    FencedError,
    OutcomeUnknownError,
    PartitionStoppedError,
    TransientError,
)
from engine.ports.catalogs import ActiveCatalog
from engine.ports.clock import Clock
from engine.ports.metrics import Metrics
from engine.ports.store import Store
from engine.ports.stream import Batch, Stream, Subscription
from engine.stages.deciding import Decided, decide, give_up

log = structlog.get_logger(__name__)

# One transaction's worth: large enough to share an fsync, small enough to hold the loop briefly.
MAX_RECORDS = 500
RETRY_S = 1.0
# A record that meets a gap in quell becomes a dead letter, so that those behind it go on. So many
# one after the other are no odd records but a broken quell: the rest waits for a better one.
MAX_GIVEN_UP_IN_A_ROW = 10

# What became of a batch: decided; to be read again at the store's position; the same, but later.
Taken = Literal["decided", "again", "later"]


@dataclass(slots=True)
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
    stopped: dict[int, str] = field(default_factory=dict)
    _subscription: Subscription | None = None
    # How many records of a partition were given up since the last one that was decided.
    _given_up: dict[int, int] = field(default_factory=dict)
    _deciding: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def assigned(self) -> frozenset[int]:
        """The partitions that are this consumer's now."""
        return frozenset() if self._subscription is None else self._subscription.assigned

    async def run(self) -> None:
        """Consume; a store or broker that is away is waited for, nothing is skipped."""
        while True:
            try:
                async with self.stream.subscribe(
                    self._positions, max_records=MAX_RECORDS
                ) as subscription:
                    self._subscription = subscription
                    self.stopped.clear()
                    await self._consume_all(subscription)
            except (TransientError, OutcomeUnknownError) as error:
                # After a lost commit the store's positions tell whether the batch is in it.
                log.warning("pipeline_waits", error=str(error))
            finally:
                self._subscription = None
            await self.clock.sleep(RETRY_S)

    async def finish(self) -> None:
        """Return once no batch is being decided; none is begun after it. Then cancel `run`."""
        await self._deciding.acquire()

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
            except PartitionStoppedError as error:
                for partition in error.partitions:
                    self._stop(partition, str(error))
            # What stopped may say so again at once.
            await self.clock.sleep(RETRY_S)

    async def _consume(self, subscription: Subscription) -> None:
        async for batch in subscription.batches():
            async with self._deciding:
                taken = await self._take(batch)
            if taken == "decided":
                continue
            if taken == "later":
                await self.clock.sleep(RETRY_S)
            await subscription.rewind(batch.partition, await self._position(batch.partition))

    async def _take(self, batch: Batch) -> Taken:
        partition, expected = batch.partition, await self._position(batch.partition)
        if batch.records[0].offset < expected:
            # Another consumer was here, or this one read ahead of its own commit.
            return "again"
        try:
            with self.metrics.stage_seconds.labels(stage="pipeline").time():
                decided = await self._decide(batch, expected)
        except (FencedError, ConflictError) as error:
            # Another replica was faster: with this partition, or with an incident that both
            # were about to open. Reading again finds what it wrote.
            log.warning("batch_again", partition=partition, reason=str(error))
            return "again"
        except (TransientError, OutcomeUnknownError):
            raise
        except Exception as error:
            if partition not in self.stopped:
                log.exception("batch_failed", partition=partition, records=len(batch.records))
            return await self._take_apart(batch, expected, error)
        self.stopped.pop(partition, None)
        self._given_up.pop(partition, None)
        self._tell(batch, decided)
        return "decided"

    async def _take_apart(self, batch: Batch, expected: int, error: Exception) -> Taken:
        """A batch met a gap in quell: record by record, and one that fails alone is given up."""
        if len(batch.records) > 1:
            for record in batch.records:
                taken = await self._take(Batch(batch.partition, [record]))
                if taken != "decided":
                    return taken
            return "decided"
        partition, reason = batch.partition, _gap(error)
        given_up = self._given_up.get(partition, 0)
        if given_up == MAX_GIVEN_UP_IN_A_ROW:
            self._stop(
                partition,
                f"partition {partition} waits at {expected}: {given_up} records in a row met a gap "
                f"in quell ({reason}) and are dead letters, so the rest is kept in the stream. "
                "Start another release of quell, then replay the dead letters",
            )
            return "later"
        name = self.stream.name
        decided = await self.store.write(
            lambda tx: give_up(tx, name, batch, expected, reason, self.retention)
        )
        self.metrics.faults.labels(part="record").inc()
        log.error("record_given_up", partition=partition, offset=expected, reason=reason)
        self._given_up[partition] = given_up + 1
        self._tell(batch, decided)
        return "decided"

    def _stop(self, partition: int, reason: str) -> None:
        if self.stopped.get(partition) != reason:
            log.error("partition_stopped", partition=partition, problem=reason)
        self.stopped[partition] = reason

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


def _gap(error: Exception) -> str:
    """An unexpected error by its kind and place: its message might hold a secret."""
    frames = traceback.extract_tb(error.__traceback__)
    place = "/".join(Path(frames[-1].filename).parts[-2:]) + f":{frames[-1].lineno}"
    return f"{type(error).__name__} at {place}"
