"""What is older than its retention goes, in small parts, and comes round again."""

from datetime import datetime, timedelta

import pytest
from msgspec import structs

from engine.core.guards import LONGEST_LOOK_BACK, Reservation
from engine.core.retention import Retention
from engine.ports.rows import Task
from engine.ports.source import Rejected
from engine.stages import housekeeping
from engine.stages.housekeeping import (
    BYTES_AT_ONCE,
    EVERY,
    HousekeepingStage,
    schedule_housekeeping,
)
from engine.store.embedded_stream import partition_of
from tests.doubles.virtual_time import START
from tests.doubles.world import World
from tests.store.values import an_occurrence

DAY = timedelta(days=1).total_seconds()
RETENTION = Retention(stream=timedelta(days=2), dead_letters=timedelta(days=3))


async def keep(world: World, retention: Retention = RETENTION) -> str:
    """One pass over the due task; what the log says of it."""
    before = len(world.logs)
    stage = HousekeepingStage(world.store, world.stream, retention, world.metrics)
    await stage.keep(await world.claimed("housekeeping"))
    told = [each for each in world.logs[before:] if each["event"] == "retention_removed"]
    assert len(told) <= 1, "once a pass"
    return " ".join(f"{k}={v}" for each in told for k, v in each.items() if isinstance(v, int))


@pytest.fixture
async def kept_world(world: World) -> World:
    await world.store.write(schedule_housekeeping)
    return world


async def test_it_comes_back_each_minute(kept_world: World) -> None:
    assert await keep(kept_world) == ""
    assert await kept_world.claim("housekeeping") is None
    kept_world.clock.advance(EVERY.total_seconds())
    await keep(kept_world)
    assert list(await kept_world.tasks("housekeeping")) == ["housekeeping/housekeeping"]


async def test_decided_records_go_when_they_are_old_and_the_balance_stays(
    kept_world: World,
) -> None:
    world = kept_world
    await world.intake.accept("am", [world.alert("Slow", {"service": "a"})] * 3, 0)
    await world.consume()
    await world.intake.accept("am", [world.alert("Slow", {"service": "a"})], 0)
    await keep(world)
    world.clock.advance(2 * DAY)
    assert await keep(world) == "stream_records=3"
    assert world.stream.start(partition_of("a", 2)) == 3
    balance = await world.queries.balance()
    assert (balance.records, balance.waiting, balance.difference) == (4, 1, 0)
    assert await world.consume() == {"repeat": 1}
    text = world.metrics.text().decode()
    assert 'quell_retention_removed_total{what="stream_records"} 3.0' in text


async def test_dead_letters_go_after_their_time_and_replayed_ones_sooner(
    kept_world: World,
) -> None:
    world = kept_world
    bodies = [Rejected(-1, "", "bad", b"%d" % n) for n in range(3)]
    ids = await world.intake.dead_letter("am", bodies)
    await world.store.write(lambda tx: tx.mark_replayed(ids[0]))
    soon = replace_retention(replayed_dead_letters=timedelta(days=1))
    world.clock.advance(DAY)
    assert await keep(world, soon) == ""
    world.clock.advance(EVERY.total_seconds())
    assert await keep(world, soon) == "dead_letters=1"
    world.clock.advance(DAY)
    await world.intake.dead_letter("am", bodies[1:2])
    world.clock.advance(DAY + 1)
    assert await keep(world, soon) == "dead_letters=1"
    (left,) = await world.queries.dead_letters(9)
    assert (left.id, left.count) == (ids[1], 2)
    usage = await world.store.read(lambda tx: tx.dead_letter_usage())
    assert (usage.letters, usage.size) == (1, 1)


def replace_retention(**changes: timedelta) -> Retention:
    return RETENTION.model_copy(update=changes)


async def test_large_bodies_go_a_few_at_a_time(
    kept_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = kept_world
    body = bytes(BYTES_AT_ONCE // 2)
    for n in range(5):
        await world.intake.dead_letter("am", [Rejected(-1, "", "bad", b"%d" % n + body)])
    parts = [
        len(part)
        for part in housekeeping._parts([(str(n), BYTES_AT_ONCE // 2 + 1) for n in range(5)])
    ]
    assert parts == [1, 1, 1, 1, 1]
    world.clock.advance(4 * DAY)
    assert await keep(world) == "dead_letters=5"


async def test_reservations_go_once_no_guard_looks_back_so_far(kept_world: World) -> None:
    world = kept_world
    taken = [Reservation(run, run, "p", "r", "s", "i", "INC-1", START) for run in ("held", "over")]
    await world.store.write(lambda tx: tx.reserve(taken))
    await world.store.write(lambda tx: tx.release("over"))
    world.clock.advance(LONGEST_LOOK_BACK.total_seconds())
    assert await keep(world) == ""
    world.clock.advance(EVERY.total_seconds())
    assert await keep(world) == "reservations=1"
    assert [each.run_id for each in await world.store.read(lambda tx: tx.held())] == ["held"]


async def test_closed_occurrences_are_forgotten_over_several_passes(
    kept_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pass looks at some fingerprints, and the next goes on behind them."""
    world = kept_world
    monkeypatch.setattr(housekeeping, "FINGERPRINTS_AT_ONCE", 10)
    monkeypatch.setattr(housekeeping, "MOST_FINGERPRINTS", 20)
    ended = [
        structs.replace(an_occurrence(f"f{n:02}"), ended_at=world.clock.at, ended_by="source")
        for n in range(50)
    ]
    fires = an_occurrence("f50")
    await world.store.write(lambda tx: tx.put_occurrences([*ended, fires]))
    await world.store.write(lambda tx: tx.put_task(from_the_first(world.clock.at)))
    world.clock.advance(31 * DAY)
    told = []
    for _ in range(4):
        told.append(await keep(world))
        world.clock.advance(EVERY.total_seconds())
    assert told == ["occurrences=20", "occurrences=20", "occurrences=10", ""]
    names = [each.alert.fingerprint for each in [*ended, fires]]
    assert list(await world.store.read(lambda tx: tx.occurrences(names))) == ["f50"]


def from_the_first(now: datetime) -> Task:
    return Task("housekeeping", "housekeeping", now, 1, {"after": ""})


async def test_an_alert_after_its_occurrence_was_forgotten_opens_another(
    kept_world: World,
) -> None:
    world = kept_world
    await world.fire()
    world.clock.advance(60)
    await world.resolve()
    world.clock.advance(31 * DAY)
    await world.store.write(lambda tx: tx.put_task(from_the_first(world.clock.at)))
    assert "occurrences=1" in await keep(world)
    await world.fire()
    assert (await world.incidents())[-1].open_count == 1
