"""Sends a partition of the stream on that can't go on by itself, on a person's order."""

from collections.abc import Callable
from dataclasses import dataclass

from engine.core import events
from engine.core.access import may_administer
from engine.core.journal import NewEntry
from engine.core.positions import Destination, Refused, destination, passed_over, state_of
from engine.errors import ConflictError, FencedError, NotFoundError
from engine.ports.commands import By, Repositioned
from engine.ports.metrics import Metrics
from engine.ports.recording import Author
from engine.ports.store import Store, Tx
from engine.ports.stream import KeptStream


@dataclass(frozen=True, slots=True)
class RepositionStage:
    """The Repositions port over the store and the stream.

    The pipeline that holds the partition sees its new position within STOPPED_ASKS_S.
    """

    store: Store
    stream: KeptStream
    metrics: Metrics
    author: Callable[[], Author]

    async def set_position(
        self, partition: int, to: Destination, *, by: By, reason: str
    ) -> Repositioned:
        """See Repositions."""
        may_administer(by.actor, by.roles).demand()
        first, end = await self.stream.first_offsets(), await self.stream.end_offsets()
        log = self.stream.name
        if partition not in end:
            raise NotFoundError(f"there is no partition {partition}; there are 0 to {max(end)}")

        def work(tx: Tx) -> Repositioned:
            stored = tx.positions(log).get(partition, {})
            state = state_of(log, partition, stored, first[partition], end[partition])
            placed = destination(state, to)
            if isinstance(placed, Refused):
                raise ConflictError(placed.reason)
            ahead = tx.ahead.take(log, partition, placed.offset)
            passed = passed_over(state, placed.offset, ahead)
            tx.advance(log, partition, stored.get(log, 0), placed.offset)
            # They become records with a disposition, as if they had been read.
            tx.count({"disposition/skipped": passed, f"records/{log}": passed})
            event = events.PositionSet(
                log=log,
                partition=partition,
                position=state.position,
                to=placed.offset,
                passed_over=passed,
                stopped=state.stopped,
                reason=reason,
                via=by.via,
            )
            tx.append("access", [NewEntry(event, tx.now, by.actor, self.author().catalog)])
            return Repositioned(partition, placed.offset, passed)

        try:
            done = await self.store.write(work)
        except FencedError:
            raise ConflictError(f"partition {partition} was moved meanwhile") from None
        self.metrics.dispositions.labels(disposition="skipped").inc(done.passed_over)
        return done
