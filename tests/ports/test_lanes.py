"""Commands that are carried out side by side, whatever each of them comes to."""

import asyncio
from collections.abc import Sequence

import pytest

from engine.core.run_commands import Attempt, Lasting
from engine.errors import TransientError
from engine.ports.lanes import AT_ONCE, Lanes
from tests.doubles.runs import a_step, planned
from tests.doubles.virtual_time import VirtualClock, until

Gates = dict[str, asyncio.Future[None]]


def attempts(*names: str) -> Sequence[Lasting]:
    return [Attempt(planned(a_step(name)), 1) for name in names]


def gates() -> Gates:
    return {}


async def begin(lanes: Lanes, opened: Gates, *names: str) -> None:
    """Begin attempts that each wait for its gate; return once they wait."""

    async def wait(command: Lasting) -> None:
        gate = opened[command.key[1]] = asyncio.get_running_loop().create_future()
        await gate

    lanes.begin(attempts(*names), wait)
    await until(lambda: len(opened) == len(lanes.under_way))


async def test_each_is_under_way_once_until_it_ends() -> None:
    opened = gates()
    async with asyncio.TaskGroup() as group:
        lanes = Lanes(group, VirtualClock())
        await begin(lanes, opened, "a", "b")
        first = opened["a"]
        await begin(lanes, opened, "a")
        assert opened["a"] is first, "it was begun twice"
        first.set_result(None)
        await lanes.an_end(5)
        assert lanes.under_way == {("steps", "b")}
        opened["b"].set_result(None)
        await lanes.an_end(5)
        assert not lanes.under_way


async def test_who_waits_for_an_end_waits_no_longer_than_that() -> None:
    opened, clock = gates(), VirtualClock()
    async with asyncio.TaskGroup() as group:
        lanes = Lanes(group, clock)
        await begin(lanes, opened, "a")
        waiting = group.create_task(lanes.an_end(5))
        await until(lambda: clock.sleeping == 1)
        clock.advance(4.9)
        assert not waiting.done()
        clock.advance(0.1)
        await until(waiting.done)
        assert lanes.under_way
        opened["a"].set_result(None)
    assert clock.sleeping == 0


async def test_no_more_than_so_many_are_under_way() -> None:
    opened = gates()
    names = [f"s{number}" for number in range(AT_ONCE + 2)]
    async with asyncio.TaskGroup() as group:
        lanes = Lanes(group, VirtualClock())
        await begin(lanes, opened, *names)
        assert len(lanes.under_way) == AT_ONCE
        opened["s0"].set_result(None)
        await lanes.an_end(5)
        del opened["s0"]
        await begin(lanes, opened, *names)
        assert len(lanes.under_way) == AT_ONCE
        for gate in opened.values():
            if not gate.done():
                gate.set_result(None)


@pytest.mark.parametrize("error", [TransientError("no store"), KeyError("a fault")])
async def test_one_that_fails_cuts_no_other_short(error: Exception) -> None:
    opened = gates()
    async with asyncio.TaskGroup() as group:
        lanes = Lanes(group, VirtualClock())
        await begin(lanes, opened, "a", "b")
        opened["a"].set_exception(error)
        await lanes.an_end(5)
        assert lanes.failed == [error]
        assert lanes.under_way == {("steps", "b")}
        opened["b"].set_result(None)
