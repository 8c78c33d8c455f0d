"""Whether what a run is to mend still fires, as far as somebody can tell."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.core.alert import Occurrence
from engine.core.events import ConfirmationBasis, StillFiring


@dataclass(frozen=True, slots=True)
class Confirmation:
    """An answer, who told (see events.StillFiringAsked), and more in words where there is more."""

    answer: StillFiring
    basis: ConfirmationBasis
    detail: str = ""


def by_last_notice(occurrence: Occurrence, now: datetime, ttl: timedelta) -> Confirmation:
    """For a source that can't be asked: its last notice counts for `ttl`."""
    if not occurrence.is_open:
        return Confirmation("resolved", "last notice", f"{occurrence.alert.name} was resolved")
    age = now - occurrence.last_notice_at
    told = f"{occurrence.alert.source} told of it {age.total_seconds():.0f} s ago"
    if age <= ttl:
        return Confirmation("firing", "last notice", told)
    return Confirmation("cannot_tell", "last notice", f"{told}, which is too long ago")


def combined(confirmations: Iterable[Confirmation]) -> Confirmation:
    """One answer of several: it fires where one says so, and is resolved where all do.

    Where several say the same, one by a source that was asked is better than by a last notice.
    """
    order = ("firing", "cannot_tell", "resolved")
    known = sorted(confirmations, key=lambda c: (order.index(c.answer), c.basis != "source"))
    if not known:
        return Confirmation("cannot_tell", "last notice", "nothing of it is known to fire")
    return known[0]
