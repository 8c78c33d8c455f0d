"""What is decided on and what waits, by partition, in one log."""

from engine.ports.reached import Reached, reached
from tests.doubles.world import World


async def test_it_tells_each_partitions_position_and_what_waits_behind_it(world: World) -> None:
    await world.store.write(lambda tx: tx.advance("log@a", 0, 0, 7))
    await world.store.write(lambda tx: tx.advance("log@a", 1, 0, 9))
    await world.store.write(lambda tx: tx.advance("log@b", 2, 0, 5))
    found = await world.store.read(lambda tx: reached(tx, "log@a", {0: 10, 1: 8, 2: 3}))
    assert found == {0: Reached(7, 3), 1: Reached(9, 0), 2: Reached(0, 3)}


async def test_what_was_decided_ahead_does_not_wait(world: World) -> None:
    await world.store.write(lambda tx: tx.advance("log@a", 0, 0, 7))
    # One that another release passed without a look at it, and one of a log that was cut off.
    await world.store.write(lambda tx: tx.ahead.note("log@a", 0, dict.fromkeys([6, 8, 12], "x")))
    await world.store.write(lambda tx: tx.ahead.note("log@b", 0, {9: "x"}))
    found = await world.store.read(lambda tx: reached(tx, "log@a", {0: 10}))
    assert found == {0: Reached(7, 2)}
