"""Invariant 14: what others send may be of any size, and what is kept of it isn't."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from engine.core import events
from engine.core.journal import Entry
from engine.core.retention import Retention
from tests.simulation.inline_store import Database

HUGE = "huge text"
POISON = "record that nobody understands"

HUGE_LENGTH = 70_000
# So many dead letters may keep their bodies here; what comes beyond is known by its place.
RETENTION = Retention(dead_letters_count=2)
# What docs/reliability.md promises of an entry and of a text in it. A plan is a text of its own.
LARGEST_ENTRY = 300 * 1024
LONGEST_TEXT = 16_000
_WITH_BODY = "SELECT count(*) FROM dead_letters WHERE length(body) > 0"


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
        ((letters,),) = self.database.rows(_WITH_BODY)
        if letters > RETENTION.dead_letters_count:
            self.broken(14, f"{letters} dead letters keep their bodies")


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
