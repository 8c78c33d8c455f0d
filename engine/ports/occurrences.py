"""The latest occurrence of each fingerprint, in the transaction that decides."""

from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from typing import Protocol

from engine.core.alert import Firing, Occurrence


class OccurrenceRows(Protocol):
    """A part of Tx."""

    def occurrences(self, fingerprints: Sequence[str]) -> Mapping[str, Occurrence]:
        """The latest occurrence of each fingerprint, open or not."""
        ...

    def known(
        self, fingerprints: Sequence[str], whole: Set[str]
    ) -> tuple[Mapping[str, Occurrence], Mapping[str, Firing]]:
        """The same in two parts: for those not in `whole`, no more than a repeat has to know.

        What a repeat can't be told by is among the occurrences. Neither has what is unknown.
        """
        ...

    def put_occurrences(self, occurrences: Sequence[Occurrence]) -> None:
        """Insert or replace by fingerprint: only the latest of a fingerprint is kept."""
        ...

    def put_repeats(self, repeated: Sequence[Firing]) -> None:
        """Keep what repeats made of some that this transaction has read by `known`."""
        ...

    def open_occurrences(self, incident: str, limit: int) -> Sequence[Occurrence]:
        """So many of an incident's occurrences that still fire, oldest first."""
        ...

    def ended_occurrences(
        self, before: datetime, *, after: str = "", limit: int
    ) -> tuple[Sequence[str], str]:
        """Of the next `limit` fingerprints behind `after`, those whose latest ended before.

        Also where to go on, "" at the end.
        """
        ...

    def remove_occurrences(self, fingerprints: Sequence[str], before: datetime) -> int:
        """Forget those of them whose latest ended before; how many went."""
        ...

    def troubled(self, names: Sequence[str]) -> Sequence[tuple[str, int]]:
        """(service or target, number of an open incident in which it fires, or P1 or P2 of it).

        Of these names; the oldest incident of each comes last.
        """
        ...

    def firing_targets(self, limit: int) -> Sequence[tuple[str, int]]:
        """(target, number of an open incident in which it fires), so many, newest first."""
        ...
