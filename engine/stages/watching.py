"""Sees whether work gets done in this process and at all, and what keeps alerts from being taken.

The watch needs nothing that it watches: each look is bounded, and what it found last is in memory,
so that healthz answers at once whatever hangs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from engine.core.emergency import OUTAGE_S, Trouble
from engine.core.progress import (
    STALLED_S,
    TASKS,
    Seen,
    Standing,
    follow,
    partition_part,
)
from engine.errors import QuellError
from engine.ports.clock import Clock
from engine.ports.metrics import Metrics
from engine.ports.reached import Reached, reached
from engine.ports.rows import DueWork
from engine.ports.store import Store, Tx
from engine.ports.stream import Stream

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 5.0
# What doesn't answer within this counts as away.
ANSWERS_WITHIN_S = 10.0
# A pipeline that stands still begins anew before anybody has to restart the process.
MEND_AFTER_S = 30.0
# Each look and each of its questions may take its time before the watch itself counts as stuck.
STUCK_AFTER_S = STALLED_S + 3 * ANSWERS_WITHIN_S

# The durable counter that each look adds to: a write that changes nothing could pass on a full
# disk, and on a database that only reads.
PROBES = "store/probes"


async def _nothing() -> None:
    """For a process without such a part."""


@dataclass(frozen=True, slots=True)
class Own:
    """What this process does itself; the defaults are those of one that has no such part.

    `assigned` are its partitions (None without a pipeline), `stopped` those that can't go on and
    why, `free_places` how many more tasks it would claim now, `failing` its loops that fail again
    and again and why.
    `takes_alerts` raises where an alert could be kept nowhere; `stream_away` says why the stream
    can't be reached, though alerts are kept meanwhile. `mend` lets the pipeline begin anew.
    """

    assigned: Callable[[], frozenset[int] | None] = lambda: None
    stopped: Callable[[], Mapping[int, str]] = dict
    free_places: Callable[[], int] = int
    failing: Callable[[], Mapping[str, str]] = dict
    takes_alerts: Callable[[], Awaitable[None]] = _nothing
    stream_away: Callable[[], str] = str
    mend: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Outage:
    """Since when something fails (`began_s` on the monotonic clock), and how it failed last."""

    since: datetime
    began_s: float
    reason: str

    @property
    def sentence(self) -> str:
        """For people."""
        return f"since {self.since:%Y-%m-%d %H:%M:%S} UTC: {self.reason}"

    def lasts(self, now_s: float) -> bool:
        """Whether it isn't over by itself, as a restart of the other side would be."""
        return now_s - self.began_s >= OUTAGE_S


@dataclass(slots=True)
class WatchStage:
    """Looks until cancelled; `standing` is every part of the engine as it was seen last.

    `partitions` are those of the stream.
    `store_away` and `stream_away` say since when the store can't be written and alerts can't be
    kept, None while they can.
    """

    store: Store
    stream: Stream
    clock: Clock
    metrics: Metrics
    own: Own = Own()
    partitions: Sequence[int] = ()
    standing: dict[str, Standing] = field(default_factory=dict)
    store_away: Outage | None = None
    stream_away: Outage | None = None
    # The end of the last look, and of the last at which all answered, on the monotonic clock.
    _looked_s: float | None = None
    _seen_s: float | None = None
    _mended: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await self.look()
            await self.clock.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Look once; never raises for what is away."""
        now, began_s = self.clock.now(), self.clock.monotonic()
        self.store_away = _again(self.store_away, Outage(now, began_s, await self._store_fails()))
        self.stream_away = _again(
            self.stream_away, Outage(now, began_s, await self._stream_fails())
        )
        seen = await self._see() if self.store_away is None else None
        self._looked_s = now_s = self.clock.monotonic()
        if seen is None:
            self._seen_s = None
        else:
            since_s = now_s if self._seen_s is None else self._seen_s
            # A machine that slept is no stall.
            counted_s = min(now_s - since_s, LOOK_EVERY_S + ANSWERS_WITHIN_S)
            self.standing = follow(self.standing, seen, now, counted_s)
            self._seen_s = now_s
        self._mend()
        self._measure(now_s)

    def problems(self) -> list[str]:
        """Why a supervisor should restart this process; in memory, so it takes no time."""
        problems = list(self.own.stopped().values())
        mine = self._mine(STALLED_S)
        if self.own.free_places() and self._stood_s(TASKS) >= STALLED_S:
            mine.add(TASKS)
        problems += [f"{self.standing[p].sentence}: restart this process" for p in sorted(mine)]
        failing = sorted(self.own.failing().items())
        problems += [f"the {loop} fails again and again: {why}" for loop, why in failing]
        looked_s = self.clock.monotonic() if self._looked_s is None else self._looked_s
        if (stuck_s := self.clock.monotonic() - looked_s) > STUCK_AFTER_S:
            problems.append(f"the watch itself is stuck for {stuck_s:.0f} s")
        return problems

    def unready(self) -> Sequence[tuple[str, str]]:
        """Why this process can't do its work although it is well: what is away, and a sentence."""
        away = (("store", self.store_away), ("stream", self.stream_away))
        return [(name, f"{name}: {outage.sentence}") for name, outage in away if outage is not None]

    def troubles(self) -> Sequence[Trouble]:
        """What people can't be told by an incident, because deciding or telling needs it."""
        now_s, found = self.clock.monotonic(), []
        if self.store_away is not None and self.store_away.lasts(now_s):
            found.append(
                Trouble(
                    "store",
                    f"its store can't be written {self.store_away.sentence}. Nothing is decided "
                    "and no run goes on until it can; then quell goes on by itself",
                )
            )
        if self.stream_away is not None and self.stream_away.lasts(now_s):
            found.append(
                Trouble(
                    "stream",
                    f"it can keep no alert {self.stream_away.sentence}. Senders are asked to come "
                    "back",
                )
            )
        tasks = self.standing.get(TASKS)
        if tasks is not None and tasks.is_stalled:
            found.append(Trouble(TASKS, f"{tasks.sentence}: messages are tasks too. Restart it"))
        return found

    def _mine(self, stood_s: float) -> set[str]:
        """The partitions that have stood so long and that this process may be to blame for."""
        assigned = self.own.assigned()
        if assigned is None:
            return set()
        if not assigned:
            # Perhaps nobody has it; or another process does, and is given the time to mend it.
            stood_s, assigned = 2 * stood_s, frozenset(self.partitions)
        return {part for part in map(partition_part, assigned) if self._stood_s(part) >= stood_s}

    async def _store_fails(self) -> str:
        """Why the store can't be written, "" when it can."""
        return await _failure(self.store.write(lambda tx: tx.count({PROBES: 1})))

    async def _stream_fails(self) -> str:
        return await _failure(self.own.takes_alerts())

    async def _see(self) -> Sequence[Seen] | None:
        """Every part as it is now; None where the stream or the store doesn't answer."""
        seen: list[Seen] = []
        if self.own.stream_away() or await _failure(self._fill(seen)):
            return None
        return seen

    async def _fill(self, seen: list[Seen]) -> None:
        ends, name = await self.stream.end_offsets(), self.stream.name

        def read(tx: Tx) -> tuple[Mapping[int, Reached], DueWork]:
            return reached(tx, name, ends), tx.due_work()

        found, due = await self.store.read(read)
        self.partitions = tuple(ends)
        for partition, each in found.items():
            seen.append(Seen(partition_part(partition), each.waiting, each.position))
        seen.append(Seen(TASKS, due.tasks, due.last_lease, "due task"))

    def _mend(self) -> None:
        """Let the pipeline begin anew, once a stall, where one of its own partitions stands."""
        stands = self._mine(MEND_AFTER_S)
        if stands - self._mended:
            log.error("pipeline_begins_anew", parts=sorted(stands))
            self.own.mend()
        self._mended = {part for part in self._mended | stands if self._stood_s(part)}

    def _stood_s(self, part: str) -> float:
        return self.standing[part].stood_s if part in self.standing else 0.0

    def _measure(self, now_s: float) -> None:
        self.metrics.stalled.clear()
        for part, each in self.standing.items():
            self.metrics.stalled.labels(part=part).set(each.stood_s)
        away_s = now_s - self.store_away.began_s if self.store_away else 0.0
        self.metrics.store_unwritable.set(away_s)


def _again(before: Outage | None, found: Outage) -> Outage | None:
    """The outage that goes on, or begins; None where there is no reason."""
    if not found.reason:
        return None
    return replace(before or found, reason=found.reason)


async def _failure(question: Awaitable[object]) -> str:
    """Why it wasn't answered in time, "" when it was."""
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            await question
    except TimeoutError:
        return f"no answer within {ANSWERS_WITHIN_S:.0f} s"
    except QuellError as error:
        return str(error)
    except Exception as error:
        log.exception("watch_met_a_gap")
        return f"a gap in quell: {type(error).__name__}"
    return ""
