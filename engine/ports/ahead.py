"""Which records of a partition were decided on ahead of those in front of them."""

from collections.abc import Mapping
from typing import Protocol


class AheadRows(Protocol):
    """Of one transaction, which holds the partition's position; a hash is a record's value's."""

    def of_log(self, log: str) -> Mapping[int, Mapping[int, str]]:
        """By partition and offset the hash of each record; some may be below the position."""
        ...

    def note(self, log: str, partition: int, decided: Mapping[int, str]) -> None:
        """Keep these, by offset; none of them is noted yet."""
        ...

    def take(self, log: str, partition: int, before: int) -> Mapping[int, str]:
        """Those below an offset, by offset; they are noted no more."""
        ...
