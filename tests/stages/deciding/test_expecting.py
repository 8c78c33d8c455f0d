from pathlib import Path

from engine.stages.deciding import expect_heartbeats
from tests.doubles.ruled import ruled, statuses
from tests.doubles.world import World

HEARTBEAT = """
  - id: silent
    description: The watchdog is silent
    matchers: ['alertname="Watchdog"', 'service="prom"']
    severity: P2
    absent: {for: 10m, expect_from_start: true}
"""


async def activate(world: World) -> None:
    await world.store.write(lambda tx: expect_heartbeats(tx, world.catalogs.active))


async def test_a_heartbeat_that_never_came_is_missed(tmp_path: Path) -> None:
    async with ruled(tmp_path, HEARTBEAT) as world:
        await activate(world)
        await world.elapse(300)
        await activate(world)  # another start of the process begins nothing anew
        await world.elapse(301)
        assert await statuses(world, "silent") == [("open", 1)]
        await world.fire("Watchdog", service="prom")
        assert await statuses(world, "silent") == [("resolved", 0)]


async def test_one_that_is_not_expected_from_the_start_is_not(tmp_path: Path) -> None:
    async with ruled(tmp_path, HEARTBEAT.replace(", expect_from_start: true", "")) as world:
        await activate(world)
        await world.elapse(3600)
        assert await statuses(world, "silent") == []
