"""The silences that people set, in the transaction that asks or changes them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from engine.core.silences import Silence


class SilenceRows(Protocol):
    """Of one transaction."""

    def current(self) -> Sequence[Silence]:
        """Those that haven't ended, of now or later, by when they end."""
        ...

    def ending_after(self, at: datetime) -> Sequence[Silence]:
        """Those that end, or ended, after this time, by when they do."""
        ...

    def put(self, silence: Silence) -> None:
        """Insert, or replace by id."""
        ...

    def find(self, prefix: str) -> Sequence[Silence]:
        """Those whose id begins with `prefix`, ended or not; at most 2."""
        ...

    def forget(self, before: datetime) -> int:
        """Remove those that ended before; how many went."""
        ...
