"""A unit whose process waits for the end of its input, as the demo's model server does."""

import asyncio
import sys

from engine.demo.unit import Unit

PATIENT = (sys.executable, "-c", "import sys; sys.stdin.read()")


async def state(unit: Unit, wanted: str) -> None:
    """Return once the unit is in this state."""
    async with asyncio.timeout(10):
        while unit.properties()["ActiveState"] != wanted:
            await asyncio.sleep(0.01)
