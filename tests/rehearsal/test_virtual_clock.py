"""Time stands still until it is told to go on."""

import asyncio
from datetime import timedelta

from engine.rehearsal.virtual_clock import START, VirtualClock
from tests.doubles.virtual_time import until


async def test_a_sleeper_wakes_when_its_time_has_come() -> None:
    clock = VirtualClock()
    async with asyncio.TaskGroup() as group:
        sleeper = group.create_task(clock.sleep(10))
        await until(clock.at_rest)
        clock.advance(9)
        assert clock.at_rest()
        clock.advance(1)
        await sleeper
    assert clock.now() == START + timedelta(seconds=10)
    assert clock.monotonic() == 10
