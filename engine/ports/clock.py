"""Time, so that it can be virtual."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The only source of time outside the store."""

    def now(self) -> datetime:
        """The current time, aware, in UTC. It may be wrong, and jump when it is set right."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment, for how long things take: it never jumps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...
