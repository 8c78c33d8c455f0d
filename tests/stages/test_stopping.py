"""While the file is there everything is stopped, by whatever way it came or went."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from engine.core import events
from engine.errors import ConflictError
from engine.stages.stopping import StopFileStage
from tests.doubles.virtual_time import until
from tests.doubles.world import ONCALL, World, ended


@dataclass
class File:
    """What it says at each look; the last one for all that follow."""

    says: list[str] = field(default_factory=lambda: [""])

    def __call__(self) -> str:
        return self.says.pop(0) if len(self.says) > 1 else self.says[0]


def watching(world: World, file: File) -> StopFileStage:
    return StopFileStage(world.commands, world.queries, world.clock, file)


async def orders(world: World) -> list[tuple[str, str]]:
    entries = await world.store.read(lambda tx: tx.entries("access"))
    return [(entry.kind, entry.actor) for entry in entries]


async def test_a_file_that_is_there_at_the_start_stops_before_anything_is_claimed(
    world: World,
) -> None:
    await watching(world, File(["region is lost"])).look()
    await world.fire()
    assert await ended(world) == ("cancelled", "stopped by file: region is lost")
    assert world.mend.calls == []


async def test_without_a_file_nothing_is_ordered(world: World) -> None:
    await watching(world, File()).look()
    assert await orders(world) == []


async def test_a_file_that_appears_stops_within_half_a_second_and_once(world: World) -> None:
    await world.fire()
    file = File()
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(watching(world, file).watch())
        await until(world.clock.at_rest)
        file.says = ["here"]
        for _ in range(3):
            world.clock.advance(0.5)
            await until(world.clock.at_rest)
        watch.cancel()
    assert await orders(world) == [("stop.ordered@1", "file")]
    await world.settle()
    assert (await ended(world))[0] == "cancelled"


async def test_a_stop_that_a_person_lifted_while_the_file_is_there_comes_back(
    world: World,
) -> None:
    stage = watching(world, File(["here"]))
    await stage.look()
    await world.commands.resume("all", by=ONCALL)
    await stage.look()
    assert [stop.actor for stop in await world.queries.stops()] == ["file"]


async def test_a_file_that_goes_while_it_is_looked_at_orders_nothing(world: World) -> None:
    await watching(world, File(["here", ""])).look()
    assert await world.queries.stops() == []


async def test_another_stop_does_not_hide_the_file(world: World) -> None:
    await world.commands.stop("rule", "down", by=ONCALL, reason="x")
    await watching(world, File(["here"])).look()
    assert {stop.scope for stop in await world.queries.stops()} == {"rule", "all"}


async def test_while_the_file_is_there_nobody_resumes_all(world: World) -> None:
    commands = replace(world.commands, stop_file=lambda: "/var/lib/quell/STOP")
    await commands.stop("all", by=ONCALL, reason="x")
    await commands.stop("rule", "down", by=ONCALL, reason="x")
    with pytest.raises(ConflictError, match="there is '/var/lib/quell/STOP': remove it first"):
        await commands.resume("all", by=ONCALL)
    assert [stop.scope for stop in await commands.resume("rule", "down", by=ONCALL)] == ["all"]
    lifted = [e for e in await orders(world) if e[0] == events.StopLifted.KIND]
    assert lifted == [("stop.lifted@1", ONCALL.actor)]
