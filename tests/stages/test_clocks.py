"""A promise that isn't kept is told once, when its time has come."""

from engine.core import events
from tests.doubles.world import World


async def missed(world: World) -> list[tuple[str, float]]:
    return [(each.clock, each.within_s) for each in await world.told(events.SlaMissed)]


async def test_what_nobody_does_in_time_is_told_once(world: World) -> None:
    await world.fire()
    await world.elapse(899)
    assert await missed(world) == []
    await world.elapse(2)
    expected = [("acknowledge", 900.0), ("mitigate", 900.0), ("resolve", 900.0)]
    assert await missed(world) == expected
    assert (await world.incident()).missed == ("acknowledge", "mitigate", "resolve")
    await world.elapse(3600)
    assert await missed(world) == expected


async def test_what_was_seen_or_cleared_in_time_is_not(world: World) -> None:
    await world.fire()
    await world.elapse(600)
    await world.resolve()
    await world.elapse(3600)
    assert await missed(world) == []
    assert await world.tasks("clock") == {}
