"""Workers wait here for commits that make tasks due; none is missed, and nobody polls."""

import asyncio
from typing import Any
from weakref import WeakKeyDictionary


class Doorbell:
    """Rung after each commit that put or freed a task."""

    def __init__(self) -> None:
        self._rings = 0
        self._rung = asyncio.Event()
        # What each waiter has heard: a ring between its look for work and its wait must end
        # the wait at once, whoever else has heard that ring.
        self._heard: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()

    def ring(self) -> None:
        """End all waits; call in the loop."""
        self._rings += 1
        self._rung.set()
        self._rung = asyncio.Event()

    async def wait(self) -> None:
        """Return at the first ring since this asyncio task last left here; at once the first time.

        The caller owns the deadline.
        """
        waiter = asyncio.current_task()
        if waiter is None:
            raise RuntimeError("only a task can wait")
        try:
            if self._heard.get(waiter, -1) == self._rings:
                await self._rung.wait()
        finally:
            self._heard[waiter] = self._rings
