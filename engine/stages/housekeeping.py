"""Each minute what is older than its retention goes: stream, dead letters, occurrences, locks."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from engine.core.guards import LONGEST_LOOK_BACK
from engine.core.ids import derived_id
from engine.core.retention import Retention
from engine.ports.metrics import Metrics
from engine.ports.reached import reached
from engine.ports.rows import Task
from engine.ports.store import Store, Tx
from engine.ports.stream import Sweepable

log = structlog.get_logger(__name__)

EVERY = timedelta(minutes=1)
# A transaction removes so much at most, because every other writer of SQLite waits for it.
ROWS_AT_ONCE = 200
BYTES_AT_ONCE = 4 * 1024 * 1024
# Of each pass; what is left is found by the next. All fingerprints are looked at in turn: some
# 7 million a day, for a fifth of a percent of a core.
MOST_LETTERS = 20 * ROWS_AT_ONCE
MOST_FINGERPRINTS = 5_000
# Nothing is counted over a longer time than guards look back, and few are old at once.
MOST_GROUPS = 2_000
FINGERPRINTS_AT_ONCE = 500


def schedule_housekeeping(tx: Tx) -> None:
    """Make sure that there is the task, and that it is due now.

    It is urgent however severe the incidents are: it takes moments, and a storm of them is when
    the stream fills.
    """
    # Anywhere, so that frequent starts don't always look at the same fingerprints first.
    after = derived_id("housekeeping", tx.now.isoformat())
    tx.put_task(Task("housekeeping", "housekeeping", tx.now, 1, {"after": after}))


@dataclass(frozen=True, slots=True)
class HousekeepingStage:
    """Keeps to `retention`; the stream is None where others keep it, as Kafka does."""

    store: Store
    stream: Sweepable | None
    retention: Retention
    metrics: Metrics

    async def keep(self, task: Task) -> None:
        """Handle the `housekeeping` task, which comes back each minute.

        Its payload remembers at which fingerprint to go on.
        """
        removed: Counter[str] = Counter()
        now = await self.store.write(_begin)
        removed["stream_records"] = await self._sweep(now)
        removed["dead_letters"] = await self._dead_letters(now)
        after = str(task.payload.get("after", ""))
        removed["occurrences"], after = await self._occurrences(now, after)
        looked_back = now - LONGEST_LOOK_BACK
        removed["reservations"] = await self.store.write(
            lambda tx: tx.forget_reservations_before(looked_back)
        )
        removed["groups"] = await self.store.write(
            lambda tx: tx.conditions.forget_groups(looked_back, MOST_GROUPS)
        )
        removed["silences"] = await self.store.write(lambda tx: tx.silences.forget(looked_back))
        for what, count in removed.items():
            self.metrics.retention_removed.labels(what=what).inc(count)
        if any(removed.values()):
            log.info("retention_removed", **{what: n for what, n in removed.items() if n})
        await self.store.write(partial(_again, task=task, after=after))

    async def _sweep(self, now: datetime) -> int:
        if self.stream is None:
            return 0
        ends, name = await self.stream.end_offsets(), self.stream.name
        found = await self.store.read(lambda tx: reached(tx, name, ends))
        decided = {partition: each.position for partition, each in found.items()}
        return await self.stream.sweep(decided, now, self.retention.stream)

    async def _dead_letters(self, now: datetime) -> int:
        seen = now - self.retention.dead_letters
        replayed = now - self.retention.replayed_dead_letters
        old = await self.store.read(lambda tx: tx.old_dead_letters(seen, replayed, MOST_LETTERS))
        removed = 0
        for ids in _parts(old):
            removed += await self.store.write(
                partial(_remove_letters, ids=ids, seen=seen, replayed=replayed)
            )
        drift = await self.store.read(lambda tx: tx.dead_letter_drift())
        if drift:
            await self.store.write(lambda tx: tx.count(drift))
        return removed

    async def _occurrences(self, now: datetime, after: str) -> tuple[int, str]:
        before, removed = now - self.retention.occurrences, 0
        for _ in range(MOST_FINGERPRINTS // FINGERPRINTS_AT_ONCE):
            ended, after = await self.store.read(partial(_ended, before=before, after=after))
            for start in range(0, len(ended), ROWS_AT_ONCE):
                part = ended[start : start + ROWS_AT_ONCE]
                removed += await self.store.write(
                    partial(_remove_occurrences, fingerprints=part, before=before)
                )
            if not after:
                break
        return removed, after


def _begin(tx: Tx) -> datetime:
    tx.measure_dead_letters()
    return tx.now


def _remove_letters(tx: Tx, ids: Sequence[str], seen: datetime, replayed: datetime) -> int:
    return tx.remove_dead_letters(ids, seen, replayed)


def _ended(tx: Tx, before: datetime, after: str) -> tuple[Sequence[str], str]:
    return tx.ended_occurrences(before, after=after, limit=FINGERPRINTS_AT_ONCE)


def _remove_occurrences(tx: Tx, fingerprints: Sequence[str], before: datetime) -> int:
    return tx.remove_occurrences(fingerprints, before)


def _again(tx: Tx, task: Task, after: str) -> None:
    tx.put_task(replace(task, not_before=tx.now + EVERY, payload={"after": after}))
    # Put since the claim, so this only gives the lease back.
    tx.finish_task(task)


def _parts(old: Sequence[tuple[str, int]]) -> Iterator[Sequence[str]]:
    """At most so many, and of so many bytes together, but one at least."""
    part: list[str] = []
    size = 0
    for letter, kept in old:
        if part and (len(part) == ROWS_AT_ONCE or size + kept > BYTES_AT_ONCE):
            yield part
            part, size = [], 0
        part.append(letter)
        size += kept
    if part:
        yield part
