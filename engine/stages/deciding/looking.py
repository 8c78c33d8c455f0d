"""Looks ahead in partitions that are far behind, for what can't wait until its turn.

In a storm a P1 stands behind thousands of records that are decided on one after the other. A glance
at a record costs less than a tenth of deciding on it, so what stands far behind is seen early:
engine.core.looking_ahead says what may then go ahead, and engine.stages.deciding.ahead does it.
Each record is looked at once, and what is kept of it is bounded.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

import structlog

from engine.core.alert import Alert
from engine.core.catalog import Catalog
from engine.core.looking_ahead import Ahead, at_a_glance, standing, subject_of
from engine.core.records import Glance, decode_record, glance
from engine.errors import (
    ConflictError,
    FencedError,
    OutcomeUnknownError,
    PayloadError,
    TransientError,
)
from engine.ports.catalogs import ActiveCatalog
from engine.ports.store import Store
from engine.ports.stream import Record, Subscription
from engine.stages.deciding.ahead import Candidate, DecidedAhead, Sighted, decide_ahead
from engine.stages.deciding.batch import Decided

log = structlog.get_logger(__name__)

# Fewer records that wait, in all partitions of this consumer, are soon decided on.
FAR_BEHIND = 2_000
# So many are looked at for each that was decided on, until all are that wait. It says how soon that
# is; what has its turn meanwhile takes about twice as long.
LOOKS_A_RECORD = 32
# In one go, while nothing else of the process goes on: some milliseconds.
LOOKS_AT_ONCE = 500
# Of all partitions together; what is kept of each is the id of its subject, some 100 bytes.
SEEN_AT_MOST = 200_000


@dataclass(slots=True)
class _Sight:
    """The records of a partition from `begin` to before `end`, by what they are about."""

    partition: int
    begin: int
    end: int
    # Where it goes on in turn; what is in front of it is forgotten.
    position: int
    # In parts, each with the offset after it.
    parts: deque[tuple[int, Set[str]]] = field(default_factory=deque)
    # A record behind `end` met a gap in quell; its turn will show it.
    is_blocked: bool = False

    def move(self, position: int) -> None:
        """It goes on there now."""
        self.position = position
        while self.parts and self.parts[0][0] <= position:
            self.parts.popleft()

    def add(self, end: int, subjects: Set[str]) -> None:
        """The next part."""
        self.parts.append((end, subjects))
        self.end = end

    @property
    def subjects(self) -> Sequence[Set[str]]:
        """Of all parts."""
        return [subjects for _, subjects in self.parts]


@dataclass(slots=True)
class _Looked:
    """How many records were looked at, and what of them was decided on."""

    records: int = 0
    decided: list[Decided] = field(default_factory=list)


@dataclass(slots=True)
class LookAhead:
    """Of one subscription to the log of this name."""

    store: Store
    catalogs: ActiveCatalog
    log_name: str
    subscription: Subscription
    far_behind: int = FAR_BEHIND
    _sights: dict[int, _Sight] = field(default_factory=dict)

    async def on(self, positions: Mapping[int, int], decided: int) -> Sequence[Decided]:
        """Look on, after so many records were decided on in their turn; what now went ahead.

        `positions` are of this consumer's partitions; those that come first are looked at first.
        Raises TransientError and OutcomeUnknownError as deciding does.
        """
        waiting = {p: max(self.subscription.end(p) - at, 0) for p, at in positions.items()}
        if sum(waiting.values()) < self.far_behind:
            self._sights.clear()
            return ()
        self._sights = {p: self._sight(p, at) for p, at in positions.items()}
        room = SEEN_AT_MOST // len(positions)
        left, found = decided * LOOKS_A_RECORD, list[Decided]()
        for sight in list(self._sights.values()):
            looked = await self._look_in(sight, min(left, room - (sight.end - sight.position)))
            left -= looked.records
            found += looked.decided
        return found

    def _sight(self, partition: int, position: int) -> _Sight:
        known = self._sights.get(partition)
        if known is None or not known.begin <= position <= known.end:
            return _Sight(partition, position, position, position)
        known.move(position)
        return known

    async def _look_in(self, sight: _Sight, most: int) -> _Looked:
        """Until so many were looked at; whatever goes wrong, the records keep their turn."""
        looked = _Looked()
        try:
            await self._look(sight, most, looked)
        except (FencedError, ConflictError):
            # Another replica has the partition, or was about to open the same incident.
            del self._sights[sight.partition]
        except (TransientError, OutcomeUnknownError):
            raise
        except Exception:
            log.exception("look_ahead_failed", partition=sight.partition, offset=sight.end)
            sight.is_blocked = True
        return looked

    async def _look(self, sight: _Sight, most: int, looked: _Looked) -> None:
        while looked.records < most and not sight.is_blocked:
            records = await self.subscription.ahead(
                sight.partition, sight.end, min(most - looked.records, LOOKS_AT_ONCE)
            )
            if not records:
                break
            catalog, subjects = self.catalogs.active, set[str]()
            candidates = _candidates(records, sight.subjects, subjects, catalog)
            if candidates:
                sighted = Sighted(sight.partition, candidates, [*sight.subjects, subjects])
                ahead = await self._decide(sighted, sight.position, catalog)
                looked.decided.append(ahead.decided)
                if ahead.is_full:
                    break  # and look here again once there is room
            sight.add(records[-1].offset + 1, subjects)
            looked.records += len(records)
            # What is at hand comes without a pause, and others have work to do.
            await asyncio.sleep(0)

    async def _decide(self, sighted: Sighted, expected: int, catalog: Catalog) -> DecidedAhead:
        name = self.log_name
        return await self.store.write(lambda tx: decide_ahead(tx, name, sighted, expected, catalog))


def _candidates(
    records: Sequence[Record],
    in_front: Sequence[Set[str]],
    subjects: set[str],
    catalog: Catalog,
) -> Sequence[Candidate]:
    """Those that may go ahead as far as the stream tells; `subjects` becomes those of `records`."""
    found: list[Candidate] = []
    for record in records:
        try:
            seen = glance(record.value)
            subject = subject_of(seen)
            if (
                isinstance(seen, Glance)
                and at_a_glance(seen, catalog.rules) is None
                and not any(subject in part for part in (*in_front, subjects))
            ):
                found += _closer(record, catalog)
            subjects.add(subject)
        except PayloadError:
            continue  # it says nothing about anything
    return found


def _closer(record: Record, catalog: Catalog) -> Iterator[Candidate]:
    alert = decode_record(record.value)
    if isinstance(alert, Alert) and isinstance(ahead := standing(alert, catalog), Ahead):
        yield Candidate(record, alert, ahead)
