"""Invariant 14: what others send may be of any size, and what is kept of it isn't."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from engine.core import events
from engine.core.journal import Entry
from engine.core.retention import Retention
from tests.simulation.inline_store import Database
from tests.simulation.scheduler import Scheduler

HUGE = "huge text"
POISON = "record that nobody understands"

HUGE_LENGTH = 70_000
PARTS = 30
# So many dead letters may keep their bodies here; what comes beyond is known by its place.
RETENTION = Retention(dead_letters_count=2)
# What docs/reliability.md promises of an entry and of a text in it. A plan is a text of its own.
LARGEST_ENTRY = 300 * 1024
LONGEST_TEXT = 16_000
# Those for which there is no room left say how long they were.
ANNOTATIONS = 8_000 + PARTS * 40
_WITH_BODY = "SELECT count(*) FROM dead_letters WHERE length(body) > 0"


def huge_annotations(scheduler: Scheduler) -> dict[str, str]:
    """An alert's, now and then; each is short, and together they aren't."""
    if not scheduler.chance(0.1):
        return {}
    scheduler.fault(HUGE, "annotations")
    return {f"part{number}": "-" * 2_000 for number in range(PARTS)}


def huge_state(scheduler: Scheduler) -> dict[str, str]:
    """What a look adds to the state of a target, now and then."""
    if not scheduler.chance(0.05):
        return {}
    scheduler.fault(HUGE, "state")
    return {"listing": "-" * HUGE_LENGTH}


@dataclass
class SizeInvariants:
    """`broken` is told what doesn't hold."""

    database: Database
    broken: Callable[[int, str], None]

    def read(self, appended: Sequence[Entry]) -> None:
        """Check what was just written, and the dead letters."""
        for entry in appended:
            body = entry.body or b"{}"
            if len(body) > LARGEST_ENTRY:
                self.broken(14, f"{entry.kind} has {len(body)} bytes")
            if entry.kind != events.RunPlanned.KIND:
                longest = max(map(len, _texts(json.loads(body))), default=0)
                if longest > LONGEST_TEXT:
                    self.broken(14, f"{entry.kind} has a text of {longest} characters")
            self._annotations(entry)
        ((letters,),) = self.database.rows(_WITH_BODY)
        if letters > RETENTION.dead_letters_count:
            self.broken(14, f"{letters} dead letters keep their bodies")

    def _annotations(self, entry: Entry) -> None:
        event = entry.event()
        if not isinstance(event, events.OccurrenceJoined):
            return
        for alert in event.alerts:
            size = sum(map(len, _texts(alert["annotations"])))
            if size > ANNOTATIONS:
                self.broken(14, f"{entry.kind} has annotations of {size} characters")


def _texts(value: JsonValue) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for each in value:
                yield from _texts(each)
        case dict():
            for each in value.values():
                yield from _texts(each)
        case _:
            pass
