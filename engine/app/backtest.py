"""Replays alerts through the pipeline's own decisions, in the time that the alerts tell.

Nothing is reached and nothing is kept. An alert is decided on at the time at which it was received,
a timer at the time at which it is due, behind the alerts of that moment; runs begin and go no
further.
"""

import gc
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain

from engine.core.alert import Alert, Occurrence
from engine.core.catalog import Catalog
from engine.core.conditions import Hold
from engine.core.incident import chain_of
from engine.core.records import Tick, timer_tick
from engine.core.replayed import Closing, Replayed, ReplayedWaiting, replayed_incident
from engine.core.severity import Mode
from engine.stages.deciding import decide_on, expect_heartbeats
from engine.store.memory_tx import MemoryTx

# As many as the pipeline takes at once.
MAX_RECORDS = 500
# Between two looks of the garbage collector.
ALLOCATIONS = 100_000


def backtest(catalog: Catalog, alerts: Iterable[Alert], closing: Closing) -> Replayed:
    """What would have become of these alerts, which come in the order of their receipt."""
    first = next(iter(alerts := iter(alerts)), None)
    if first is None:
        return Replayed(catalog.version)
    return _Backtest(catalog, closing, first).run(alerts)


class _Backtest:
    def __init__(self, catalog: Catalog, closing: Closing, first: Alert) -> None:
        self._catalog = catalog
        self._closing = closing
        self._first = first
        self._tx = MemoryTx(first.received_at)
        self._dispositions: Counter[str] = Counter()
        self._failures: dict[str, None] = {}
        self._out_of_order = 0
        self._catch_all = {rule.id for rule in catalog.rules if rule.is_catch_all}

    def run(self, alerts: Iterator[Alert]) -> Replayed:
        tx, began = self._tx, self._tx.at
        thresholds = gc.get_threshold()
        # Hardly anything of it is garbage in circles, and a look at all alerts takes long.
        gc.set_threshold(ALLOCATIONS, *thresholds[1:])
        try:
            expect_heartbeats(tx, self._catalog)
            self._take_all(alerts)
            if self._closing.then:
                self._elapse(tx.at + self._closing.then)
            return self._replayed(began)
        finally:
            gc.set_threshold(*thresholds)
            tx.close()

    def _take_all(self, alerts: Iterator[Alert]) -> None:
        """Each at the time of its decision, which never goes back."""
        at, together = self._tx.at, list[tuple[str, Alert]]()
        applied = self._closing.applied if self._closing.after is not None else None
        for alert in chain((self._first,), alerts):
            if alert.received_at > at:
                self._take(together)
                at, together = alert.received_at, []
                self._elapse(at)
            elif alert.received_at < at:
                self._out_of_order += 1
            if len(together) == MAX_RECORDS:
                self._take(together)
                together = []
            together.append((alert.partition_key, applied(alert) if applied else alert))
        self._take(together)

    def _elapse(self, until: datetime) -> None:
        """Let the timers come that are due before `until`, and then be there."""
        tx = self._tx
        while (due := tx.timers.next_due) is not None and due < until:
            tx.at = max(due, tx.at)
            ticks = [
                (str(task.payload["partition_key"]), timer_tick(task.key, task.not_before))
                for task in tx.timers.take()
            ]
            for start in range(0, len(ticks), MAX_RECORDS):
                self._take(ticks[start : start + MAX_RECORDS])
        tx.at = until

    def _take(self, told: list[tuple[str, Alert]] | list[tuple[str, Tick]]) -> None:
        decided = decide_on(self._tx, told, self._catalog)
        self._dispositions.update(decided.dispositions)
        self._failures.update(dict.fromkeys(decided.failures))

    def _replayed(self, began: datetime) -> Replayed:
        tx = self._tx
        incidents = [
            replayed_incident(each, [event for _, event in tx.stories[chain_of(each.id)]])
            for each in tx.incidents_now.values()
        ]
        del self._dispositions["tick"]
        starts = [each.started_at for each in tx.occurrences_now.values()]
        return Replayed(
            catalog=self._catalog.version,
            began=began,
            ended=tx.at,
            source_span=max(starts) - min(starts),
            alerts=self._dispositions.total(),
            out_of_order=self._out_of_order,
            dispositions=dict(self._dispositions),
            incidents=sorted(incidents, key=lambda each: each.number),
            waiting=self._waiting(),
            unmatched=self._unmatched(),
            failures=tuple(self._failures),
        )

    def _waiting(self) -> list[ReplayedWaiting]:
        held: list[Hold] = []
        for fingerprint, each in self._tx.occurrences_now.items():
            if each.held_by:
                held.extend(self._tx.conditions.holds_of(fingerprint))
        counts = Counter((hold.rule_id, str(hold.kind)) for hold in held)
        return [ReplayedWaiting(*key, alerts) for key, alerts in sorted(counts.items())]

    def _unmatched(self) -> dict[str, int]:
        """By name; what only a rule in observe or the catch-all has counts too."""
        counts = Counter(
            each.alert.name
            for each in self._tx.occurrences_now.values()
            if self._is_unmatched(each)
        )
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    def _is_unmatched(self, occurrence: Occurrence) -> bool:
        if occurrence.alert.fingerprint in self._tx.waited:
            return False
        if not occurrence.incident_ids:
            return True
        taken = map(self._tx.incidents_now.__getitem__, occurrence.incident_ids)
        return all(one.mode is Mode.OBSERVE or one.rule_id in self._catch_all for one in taken)
