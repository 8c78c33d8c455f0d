"""What runs reserve, as guards count it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from engine.core.guards import Guard, Reservation


class ReservationRows(Protocol):
    """Of one transaction: the targets that runs hold or held, and the guards that count them."""

    def hold_guards(self, keys: Sequence[str]) -> None:
        """Lock what these guards' runs have in common; until the commit nobody else counts.

        It comes after the stops' lock and before chain heads.
        """
        ...

    def counted(self, guard: Guard) -> Sequence[Reservation]:
        """The reservations among which a guard counts: those held, taken or released lately."""
        ...

    def held(self) -> Sequence[Reservation]:
        """All that are held now, oldest first."""
        ...

    def reserve(self, taken: Sequence[Reservation]) -> None:
        """Insert; what a run has reserved already stays as it is."""
        ...

    def release(self, run: str, outcome: str = "") -> None:
        """Let go of all that a run holds; `outcome` is how it ended, "" where a person let go."""
        ...

    def excuse(self, runs: Sequence[str]) -> None:
        """These runs failed, and count as EXCUSED from now on."""
        ...

    def forget_reservations(self, run: str) -> None:
        """As if the run had never reserved anything."""
        ...

    def forget_reservations_before(self, before: datetime) -> int:
        """Remove those that were let go of before; how many went."""
        ...
