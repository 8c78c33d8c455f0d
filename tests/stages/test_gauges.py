"""Figures that nobody's work sets: what waits, and whether all is accounted for."""

import asyncio

import pytest

from engine.errors import TransientError
from engine.stages.gauges import LOOK_EVERY_S, GaugeStage
from tests.doubles.virtual_time import until
from tests.doubles.world import World


def a_stage(world: World) -> GaugeStage:
    return GaugeStage(world.store, world.stream, world.clock, world.metrics)


def figures(world: World, name: str) -> list[str]:
    """The lines of a metric, without those that are zero."""
    lines = world.metrics.text().decode().splitlines()
    return [line for line in lines if line.startswith(name) and not line.endswith(" 0.0")]


async def test_what_waits_is_counted_by_partition_and_kind(world: World) -> None:
    alerts = [world.alert("FanNoisy", {"service": "a"}), world.alert("DoorOpen", {"service": "a"})]
    await world.intake.accept("alertmanager", alerts, 0)
    await a_stage(world).look()
    (lag,) = figures(world, "quell_stream_lag_records{")
    assert lag.endswith(" 2.0")
    await world.consume()
    await world.fire()
    await a_stage(world).look()
    assert figures(world, "quell_stream_lag_records{") == []
    waiting = figures(world, "quell_tasks_waiting{")
    assert waiting == [
        'quell_tasks_waiting{kind="clock"} 1.0',
        'quell_tasks_waiting{kind="message"} 2.0',
        'quell_tasks_waiting{kind="run"} 1.0',
    ]


async def test_a_lost_record_shows(world: World) -> None:
    await world.fire()
    await a_stage(world).look()
    assert figures(world, "quell_balance_difference_records ") == []
    await world.store.write(lambda tx: tx.count({f"records/{world.stream.name}": 1}))
    await a_stage(world).look()
    assert figures(world, "quell_balance_difference_records ") == [
        "quell_balance_difference_records 1.0"
    ]


async def test_it_looks_again_after_a_while_also_when_the_stream_was_away(world: World) -> None:
    await world.stream.close()
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(a_stage(world).run())
        await until(lambda: world.clock.sleeping == 1)
        assert [log["event"] for log in world.logs] == ["gauges_wait"]
        await world.stream.open()
        await world.intake.accept("alertmanager", [world.alert("FanNoisy")], 0)
        world.clock.advance(LOOK_EVERY_S)
        # Asking for the figures again and again would leave the store's thread no turn.
        await until(world.clock.at_rest)
        looking.cancel()
    assert len(figures(world, "quell_stream_lag_records{")) == 1


async def test_what_is_spooled_shows_while_the_stream_is_away(world: World) -> None:
    await world.stream.close()
    stage = GaugeStage(world.store, world.stream, world.clock, world.metrics, lambda: 7)
    with pytest.raises(TransientError):
        await stage.look()
    assert figures(world, "quell_spooled_records ") == ["quell_spooled_records 7.0"]
