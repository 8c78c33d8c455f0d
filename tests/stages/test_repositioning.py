"""A person sends a stopped partition on: journaled, counted, and only where it is stopped."""

from collections.abc import Mapping

import pytest

from engine.core import events
from engine.core.positions import Destination
from engine.errors import ConflictError, DeniedError, NotFoundError
from engine.ports.commands import By, Repositioned
from engine.stages.repositioning import RepositionStage
from tests.doubles.world import ONCALL, World

ADMIN = By("local:me", "cli", frozenset({"admin"}))
OLD = "embedded@removed"


def stage(world: World) -> RepositionStage:
    return RepositionStage(world.store, world.stream, world.metrics, world.author)


async def set_position(
    world: World, partition: int, to: Destination, by: By = ADMIN
) -> Repositioned:
    return await stage(world).set_position(partition, to, by=by, reason="a new disk")


async def filled(world: World, count: int, *, stored: Mapping[str, int]) -> int:
    """The partition that so many records came to, with these positions by log."""
    for _ in range(count):
        await world.intake.accept("alertmanager", [world.alert()], 0)
    (partition,) = [p for p, end in (await world.stream.end_offsets()).items() if end]
    for log, offset in stored.items():
        await world.store.write(lambda tx: tx.advance(log, partition, 0, offset))  # noqa: B023
    return partition


async def journaled(world: World) -> events.PositionSet:
    (entry,) = await world.store.read(lambda tx: tx.entries("access"))
    event = entry.event()
    assert isinstance(event, events.PositionSet)
    assert entry.actor == "local:me"
    return event


async def test_another_log_is_accepted_from_its_first_record(world: World) -> None:
    partition = await filled(world, 3, stored={OLD: 90})
    (state,) = [each for each in await world.queries.positions() if each.stopped]
    assert (state.partition, state.position, state.end) == (partition, None, 3)
    assert await set_position(world, partition, "first") == Repositioned(partition, 0, 0)
    assert await world.consume() == {"new": 1, "repeat": 2}
    event = await journaled(world)
    assert (event.log, event.position, event.to) == (world.stream.name, None, 0)
    assert (event.passed_over, event.reason, event.via) == (0, "a new disk", "cli")
    assert "processed up to 90 in log removed" in event.stopped


async def test_what_is_passed_over_is_counted_and_balances(world: World) -> None:
    partition = await filled(world, 5, stored={OLD: 90})
    assert await set_position(world, partition, 3) == Repositioned(partition, 3, 3)
    assert (await world.queries.balance()).waiting == 2
    await world.consume()
    balance = await world.queries.balance()
    assert balance.dispositions == {"skipped": 3, "new": 1, "repeat": 1}
    assert (balance.records, balance.waiting, balance.difference) == (5, 0, 0)
    assert (await journaled(world)).passed_over == 3
    text = world.metrics.text().decode()
    assert 'quell_dispositions_total{disposition="skipped"} 3.0' in text


async def test_what_was_decided_ahead_is_not_skipped(world: World) -> None:
    name = world.stream.name
    partition = await filled(world, 5, stored={name: 1})
    await world.store.write(lambda tx: tx.ahead.note(name, partition, {0: "a", 3: "b", 4: "c"}))
    assert (await world.queries.balance()).waiting == 2
    await world.stream.trim({partition: 4})
    assert await set_position(world, partition, "first") == Repositioned(partition, 4, 2)
    assert (await world.queries.balance()).waiting == 0
    assert await world.store.read(lambda tx: tx.ahead.of_log(name)) == {partition: {4: "c"}}


async def test_expired_records_are_passed_over_too(world: World) -> None:
    partition = await filled(world, 5, stored={world.stream.name: 1})
    await world.stream.trim({partition: 4})
    assert await set_position(world, partition, "first") == Repositioned(partition, 4, 3)
    event = await journaled(world)
    assert (event.position, event.to, event.passed_over) == (1, 4, 3)


async def test_a_position_behind_a_log_that_was_cut_off_goes_back(world: World) -> None:
    partition = await filled(world, 2, stored={world.stream.name: 9})
    assert (await world.queries.balance()).waiting == 0
    assert await set_position(world, partition, "end") == Repositioned(partition, 2, 0)
    assert await world.position(partition) == 2


async def test_a_partition_that_works_stays_where_it_is(world: World) -> None:
    partition = await filled(world, 2, stored={world.stream.name: 1})
    with pytest.raises(ConflictError, match="isn't stopped"):
        await set_position(world, partition, "end")
    assert await world.position(partition) == 1


async def test_a_position_that_moved_meanwhile_is_a_conflict(world: World) -> None:
    partition = await filled(world, 2, stored={OLD: 90})
    await set_position(world, partition, 1)
    with pytest.raises(ConflictError, match="isn't stopped"):
        await set_position(world, partition, "end")


async def test_only_an_admin_may(world: World) -> None:
    partition = await filled(world, 1, stored={OLD: 90})
    with pytest.raises(DeniedError, match="needs the role admin"):
        await set_position(world, partition, "end", ONCALL)
    assert await world.position(partition) == 0


async def test_a_partition_that_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(NotFoundError, match="no partition 2; there are 0 to 1"):
        await set_position(world, 2, "first")
