"""P1-P4, what they promise, and the modes from watching to acting."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum


class Severity(IntEnum):
    """P1 is the worst; lower numbers sort first, in task priority too."""

    P1 = 1
    P2 = 2
    P3 = 3
    P4 = 4


class Mode(Enum):
    """How far automation goes, from the least to the most."""

    OBSERVE = "observe"
    SUGGEST = "suggest"
    APPROVE = "approve"
    AUTO = "auto"

    @property
    def rank(self) -> int:
        """0 for observe to 3 for auto."""
        return _RANKS[self]


_RANKS = {mode: rank for rank, mode in enumerate(Mode)}


@dataclass(frozen=True, slots=True)
class ModeLimit:
    """One party's word on the mode, with who said it, for people to read."""

    mode: Mode
    decided_by: str


# Of a run by hand that may only look.
DRY_RUN = ModeLimit(Mode.OBSERVE, "a dry run")


def effective_mode(limits: Iterable[ModeLimit]) -> ModeLimit:
    """The lowest of all; the first one named wins a tie.

    Example: `effective_mode([rule auto, policy approve])` is approve, decided by the policy.
    """
    return min(limits, key=lambda limit: limit.mode.rank)
