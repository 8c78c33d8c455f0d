"""Asks the sources of an incident's alerts whether they still fire, within a bound."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.core.alert import Occurrence
from engine.core.still_firing import Confirmation, combined
from engine.errors import QuellError
from engine.ports.clock import Clock
from engine.ports.source import Source

# One that fires is enough, so more are asked only while none says so.
ASKED_AT_MOST = 5
# Of all of them together; the answer counts for twice as long.
ANSWER_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Confirming:
    """`sources` are found by the names that their alerts carry."""

    sources: Mapping[str, Source]
    clock: Clock

    async def ask(self, occurrences: Sequence[Occurrence]) -> Confirmation:
        """One answer for all; what can't be asked in time can't tell."""
        found: list[Confirmation] = []
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                for occurrence in occurrences[:ASKED_AT_MOST]:
                    found.append(await self._ask(occurrence))
                    if found[-1].answer == "firing":
                        break
        except TimeoutError:
            late = f"no answer within {ANSWER_WITHIN_S:g} s"
            found.append(Confirmation("cannot_tell", "source", late))
        return combined(found)

    async def _ask(self, occurrence: Occurrence) -> Confirmation:
        name = occurrence.alert.source
        source = self.sources.get(name)
        if source is None:
            gone = f"there is no source {name!r} any more"
            return Confirmation("cannot_tell", "last notice", gone)
        try:
            return await source.still_firing(occurrence, self.clock.now())
        except QuellError as error:
            return Confirmation("cannot_tell", "source", str(error))
