"""Time, so that it can be virtual."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The only source of time outside the store."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...
