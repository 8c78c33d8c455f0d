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
from functools import partial
from pathlib import Path
from typing import Literal

import structlog

from engine.core.positions import Refused, placement
from engine.core.retention import USUAL, Retention
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
from engine.stages.deciding import FAR_BEHIND, Decided, LookAhead, decide, give_up

log = structlog.get_logger(__name__)

# One transaction's worth: large enough to share an fsync, small enough to hold the loop briefly.
MAX_RECORDS = 500
RETRY_S = 1.0
# A record that meets a gap in quell becomes a dead letter, so that those behind it go on. So many
# one after the other are no odd records but a broken quell: the rest waits for a better one.
MAX_GIVEN_UP_IN_A_ROW = 10

# What became of a batch: decided; to be read again at the store's position; the same, but later.
Taken = Literal["decided", "again", "later"]


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
    retention: Retention = USUAL
    # From so many records on a partition is looked ahead in.
    far_behind: int = FAR_BEHIND
    _subscription: Subscription | None = None
    # What the current subscription reads, whatever takes its place in the stream meanwhile.
    _log: str = ""
    _stops: dict[int, _Stop] = field(default_factory=dict)
    # Why a partition waits for a better quell; its next record is tried again and again.
    _gaps: dict[int, str] = field(default_factory=dict)
    # How many records of a partition were given up since the last one that was decided.
    _given_up: dict[int, int] = field(default_factory=dict)
    # Where each partition goes on, as far as this consumer knows.
    _reached: dict[int, int] = field(default_factory=dict)
    _deciding: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def assigned(self) -> frozenset[int]:
        """The partitions that are this consumer's now."""
        return frozenset() if self._subscription is None else self._subscription.assigned

    @property
    def stopped(self) -> Mapping[int, str]:
        """Why partitions of this consumer can't go on; empty while all can."""
        waiting = {p: reason for p, reason in self._gaps.items() if p in self.assigned}
        return waiting | {partition: stop.reason for partition, stop in self._stops.items()}

    async def run(self) -> None:
        """Consume; a store or broker that is away is waited for, nothing is skipped."""
        while True:
            try:
                async with self.stream.subscribe(
                    self._positions, max_records=MAX_RECORDS
                ) as subscription:
                    self._subscription = subscription
                    self._begin(self.stream.name)
                    await self._consume_all(subscription)
            except (TransientError, OutcomeUnknownError, FencedError) as error:
                # After a lost commit the store's positions tell whether the batch is in it, and
                # what another replica moved meanwhile.
                log.warning("pipeline_waits", error=str(error))
            finally:
                self._subscription = None
            await self.clock.sleep(RETRY_S)

    async def finish(self) -> None:
        """Return once no batch is being decided; none is begun after it. Then cancel `run`."""
        await self._deciding.acquire()

    def _begin(self, name: str) -> None:
        self._gaps.clear()
        self._reached.clear()
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
        self._reached |= found
        return found

    async def _position(self, partition: int) -> int:
        return await self.store.read(lambda tx: tx.position(self._log, partition))

    async def _consume_all(self, subscription: Subscription) -> None:
        look = LookAhead(self.store, self.catalogs, self._log, subscription, self.far_behind)
        while True:
            try:
                await self._consume(subscription, look)
            except StoppedError as error:
                stops = {
                    partition: _Stop(reason, await self._position(partition))
                    for partition, reason in error.reasons.items()
                }
                self._tell_stops(stops)
                self._stops.update(stops)

    async def _consume(self, subscription: Subscription, look: LookAhead) -> None:
        async for batch in subscription.batches():
            async with self._deciding:
                taken = await self._take(batch)
                if taken == "decided":
                    await self._look_ahead(look, batch)
            if taken == "decided":
                continue
            if taken == "later":
                await self.clock.sleep(RETRY_S)
            position = self._reached[batch.partition] = await self._position(batch.partition)
            await subscription.rewind(batch.partition, position)

    async def _look_ahead(self, look: LookAhead, batch: Batch) -> None:
        # Those that are decided on soonest are looked at last.
        self._reached.pop(batch.partition, None)
        self._reached[batch.partition] = batch.next_offset
        able = self.assigned - self.stopped.keys()
        reached = {p: offset for p, offset in self._reached.items() if p in able}
        for decided in await look.on(reached, len(batch.records)):
            self.metrics.decided_ahead.inc(decided.dispositions.total())
            self._tell(decided)

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
            if partition not in self._gaps:
                log.exception("batch_failed", partition=partition, records=len(batch.records))
            return await self._take_apart(batch, expected, error)
        self._gaps.pop(partition, None)
        self._given_up.pop(partition, None)
        self._tell(decided)
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
            self._wait(
                partition,
                f"partition {partition} waits at {expected}: {given_up} records in a row met a gap "
                f"in quell ({reason}) and are dead letters, so the rest is kept in the stream. "
                "Start another release of quell, then replay the dead letters",
            )
            return "later"
        name = self._log
        decided = await self.store.write(
            lambda tx: give_up(tx, name, batch, expected, reason, self.retention)
        )
        self.metrics.faults.labels(part="record").inc()
        log.error("record_given_up", partition=partition, offset=expected, reason=reason)
        self._given_up[partition] = given_up + 1
        self._tell(decided)
        return "decided"

    def _wait(self, partition: int, reason: str) -> None:
        if self._gaps.get(partition) != reason:
            log.error("partition_stopped", partition=partition, problem=reason)
        self._gaps[partition] = reason

    async def _decide(self, batch: Batch, expected: int) -> Decided:
        catalog, name = self.catalogs.active, self._log
        return await self.store.write(
            lambda tx: decide(tx, name, batch, expected, catalog, self.retention)
        )

    def _tell_stops(self, stops: Mapping[int, _Stop]) -> None:
        for partition, stop in stops.items():
            if self._stops.get(partition) != stop:
                log.error("partition_stopped", partition=partition, problem=stop.reason)

    def _tell(self, decided: Decided) -> None:
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


def _adopt(log_name: str, partition: int, offset: int, tx: Tx) -> None:
    """Keep a position that was stored before the log's id was known as one in this log."""
    tx.advance(log_name, partition, 0, offset)
