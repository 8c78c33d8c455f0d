"""A due timer becomes a record in its incident's partition."""

from datetime import timedelta

from engine.core.alert import Alert
from engine.core.incident import REOPEN_WITHIN
from engine.core.records import Tick, decode_record
from engine.ports.stream import Message, Record
from engine.stages.ticks import HEARD_AGAIN_WITHIN_S
from engine.store.embedded_stream import partition_of
from tests.doubles.world import World


async def records(world: World) -> list[Record]:
    found: list[Record] = []
    for partition in await world.stream.end_offsets():
        found.extend(await world.stream.read(partition, 0, 100))
    return found


async def resolved(world: World) -> None:
    await world.fire()
    world.clock.advance(60)
    await world.resolve()
    world.clock.advance(REOPEN_WITHIN.total_seconds() + 5)


async def test_the_tick_of_an_incident_follows_its_alerts_in_their_partition(world: World) -> None:
    await resolved(world)
    due = {task.key: task.not_before for task in (await world.tasks("tick")).values()}
    await world.ticks.fire(await world.claimed("tick"))
    alert, tick = (await records(world))[1:]
    assert isinstance(decode_record(alert.value), Alert)
    decoded = decode_record(tick.value)
    assert isinstance(decoded, Tick)
    assert decoded.due_at == due[f"incident_close/{decoded.subject}"]
    assert (tick.partition, tick.key) == (alert.partition, alert.key)
    assert tick.partition == partition_of(alert.key, 2)


async def test_a_fired_timer_is_gone(world: World) -> None:
    await resolved(world)
    tasks = await world.tasks("tick")
    for _ in tasks:
        await world.ticks.fire(await world.claimed("tick"))
    assert await world.claim("tick") is None
    assert await world.tasks("tick") == {}


async def test_a_tick_that_is_appended_again_after_a_crash_changes_nothing(world: World) -> None:
    await resolved(world)
    task = await world.claimed("tick")
    await world.ticks.fire(task)
    (tick,) = (await records(world))[2:]
    await world.stream.append([Message(tick.key, tick.value)])
    assert dict(await world.consume()) == {"tick": 2}
    closed = [each.status for each in await world.incidents()]
    assert closed.count("closed") == 1
    assert await world.consume() == {}


async def test_what_may_still_fire_is_not_closed_right_after_a_start(world: World) -> None:
    """Its expiry passed while quell was away, and its sender had nobody to tell."""
    ticks = world.ticks
    expires_at = world.clock.at + timedelta(seconds=8)
    await world.send(world.alert(expires_at=expires_at))
    world.clock.advance(60)
    await ticks.fire(await world.claimed("tick"))
    (task,) = (await world.tasks("tick")).values()
    assert task.not_before == world.clock.at + timedelta(seconds=HEARD_AGAIN_WITHIN_S - 60)
    assert await world.consume() == {}

    world.clock.advance(HEARD_AGAIN_WITHIN_S - 60)
    await ticks.fire(await world.claimed("tick"))
    assert dict(await world.consume()) == {"tick": 1}
    assert (await world.incident()).status == "resolved"
