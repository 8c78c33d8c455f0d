"""Waiting for others in time that passes only when a test lets it."""

import asyncio
from collections.abc import Callable

from engine.rehearsal.virtual_clock import START, VirtualClock

__all__ = ["DEADLINE_S", "START", "VirtualClock", "until"]

# In real time; what a test waits for takes milliseconds.
DEADLINE_S = 10.0


async def until(holds: Callable[[], bool]) -> None:
    """Let others work until it holds. Raises TimeoutError."""
    async with asyncio.timeout(DEADLINE_S):
        while not holds():
            await asyncio.sleep(0)
