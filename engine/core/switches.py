"""What stays on until a person turns it off."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Switch:
    """On since `at`, for this reason; `actor` turned it on."""

    name: str
    actor: str
    reason: str
    at: datetime
