"""Time that passes only when it is told to, and wakes who sleeps in it."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from typing_extensions import override

from engine.ports.clock import Clock

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class VirtualClock(Clock):
    """Stands still until `advance`; a sleeper returns when its time has come.

    `wrong_by` is what the machine's clock is off; how long things take is right all the same.
    """

    at: datetime = START
    wrong_by: timedelta = timedelta(0)
    _sleepers: dict[asyncio.Event, datetime] = field(default_factory=dict)

    @override
    def now(self) -> datetime:
        return self.at + self.wrong_by

    @override
    def monotonic(self) -> float:
        return (self.at - START).total_seconds()

    @override
    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers[woken] = self.at + timedelta(seconds=seconds)
        try:
            await woken.wait()
        finally:
            del self._sleepers[woken]

    @property
    def sleeping(self) -> int:
        """How many sleep now."""
        return len(self._sleepers)

    @property
    def wakes(self) -> Collection[datetime]:
        """When those who sleep wake."""
        return self._sleepers.values()

    def at_rest(self) -> bool:
        """Whether somebody sleeps, and nobody whose time has come."""
        return bool(self._sleepers) and min(self._sleepers.values()) > self.at

    def advance(self, seconds: float) -> None:
        """Let time pass at once."""
        self.at += timedelta(seconds=seconds)
        for woken, due in self._sleepers.items():
            if due <= self.at:
                woken.set()
