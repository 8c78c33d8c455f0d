"""A clock that stands."""

from datetime import UTC, datetime

from typing_extensions import override

from engine.ports.clock import Clock

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class FixedClock(Clock):
    @override
    def now(self) -> datetime:
        return NOW

    @override
    def monotonic(self) -> float:
        return 0.0

    @override
    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError
