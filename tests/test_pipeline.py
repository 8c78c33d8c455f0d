"""From the stream into the store: nothing is skipped, and nothing is decided twice."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from typing_extensions import override

from engine.core.inventory import Inventory
from engine.errors import ConflictError, PermanentError, TransientError
from engine.pipeline import MAX_GIVEN_UP_IN_A_ROW, MAX_RECORDS, RETRY_S, Pipeline
from engine.ports.store import Store, Tx
from engine.ports.stream import Message
from engine.stages.deciding import FAR_BEHIND
from engine.store import embedded_stream
from tests.doubles.virtual_time import DEADLINE_S, until
from tests.doubles.world import World


@dataclass
class FaultyStore(Store):
    """Raises its faults, one a write, and works otherwise; `before` runs first."""

    store: Store
    faults: list[Exception] = field(default_factory=list)
    writes: int = 0
    reads: int = 0

    @override
    async def write(self, work: Any) -> Any:
        self.writes += 1
        if self.faults:
            raise self.faults.pop(0)
        return await self.store.write(work)

    @override
    async def read(self, work: Any) -> Any:
        self.reads += 1
        return await self.store.read(work)

    @override
    async def wait_for_work(self, timeout_s: float) -> None:
        await self.store.wait_for_work(timeout_s)


def a_pipeline(world: World, store: Store | None = None) -> Pipeline:
    return Pipeline(store or world.store, world.stream, world.clock, world.catalogs, world.metrics)


@asynccontextmanager
async def running(pipeline: Pipeline) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(pipeline.run())
        try:
            yield
        finally:
            task.cancel()


async def decided(world: World, count: int) -> dict[str, int]:
    """Wait until so many records are decided on, and return the counters."""

    def counters(tx: Tx) -> dict[str, int]:
        return dict(tx.counters())

    async with asyncio.timeout(DEADLINE_S):
        while True:
            found = await world.store.read(counters)
            if found.get(f"records/{world.stream.name}", 0) >= count:
                return {
                    name.removeprefix("disposition/"): n
                    for name, n in found.items()
                    if name.startswith("disposition/")
                }


async def accept(world: World, *names: str) -> None:
    await world.intake.accept("alertmanager", [world.alert(name) for name in names], 0)


async def test_records_from_before_and_after_its_start_are_decided_on_once(world: World) -> None:
    await accept(world, "Down", "FanNoisy")
    async with running(a_pipeline(world)):
        await decided(world, 2)
        await accept(world, "Down")
        assert await decided(world, 3) == {"new": 1, "repeat": 1, "unmatched": 1}
    async with running(a_pipeline(world)):
        await accept(world, "Down")
        assert (await decided(world, 4))["repeat"] == 2
    assert len(await world.incidents()) == 3


async def test_a_p1_behind_a_storm_is_decided_on_soon_and_once(world: World) -> None:
    count = FAR_BEHIND + 3 * MAX_RECORDS
    await accept_storm(world, count)
    await accept(world, "Down")
    async with running(a_pipeline(world)):
        await until(lambda: any(each.get("rule") == "down" for each in world.logs))
        waiting = (await world.queries.balance()).waiting
        await accept(world, "Down")
        found = await decided(world, count + 2)
    assert found == {"unmatched": count, "new": 1, "repeat": 1}
    assert waiting > FAR_BEHIND
    assert "quell_decided_ahead_total 1.0" in world.metrics.text().decode()
    assert await world.store.read(lambda tx: tx.ahead.of_log(world.stream.name)) == {}


async def test_where_little_waits_all_have_their_turn(world: World) -> None:
    count = FAR_BEHIND - 1
    await accept_storm(world, count)
    await accept(world, "Down")
    async with running(a_pipeline(world)):
        await decided(world, count + 1)
    assert "quell_decided_ahead_total 0.0" in world.metrics.text().decode()


async def test_what_it_did_is_told_in_metrics_and_logs(world: World) -> None:
    await accept(world, "Down")
    async with running(a_pipeline(world)):
        await decided(world, 1)
        await until(lambda: len(world.logs) == 2)
    text = world.metrics.text().decode()
    assert 'quell_dispositions_total{disposition="new"} 1.0' in text
    assert 'quell_incidents_opened_total{severity="P1"} 1.0' in text
    (opened,) = [log for log in world.logs if log["rule"] == "down"]
    assert (opened["event"], opened["severity"]) == ("incident_opened", "P1")
    assert opened["incident_id"] == (await world.incident()).id


async def test_a_store_that_is_away_is_waited_for_and_nothing_is_skipped(world: World) -> None:
    store = FaultyStore(world.store, [TransientError("away"), TransientError("away")])
    await accept(world, "Down")
    async with running(a_pipeline(world, store)):
        for tried in (1, 2):
            await until(lambda: world.clock.sleeping == 1)
            assert store.writes == tried
            world.clock.advance(RETRY_S)
            await until(lambda: world.clock.sleeping == 0)
        assert await decided(world, 1) == {"new": 1}
    assert [log["event"] for log in world.logs].count("pipeline_waits") == 2


async def test_an_incident_that_another_replica_opened_meanwhile_is_decided_again(
    world: World,
) -> None:
    store = FaultyStore(world.store, [ConflictError("opened meanwhile")])
    await accept(world, "Down")
    async with running(a_pipeline(world, store)):
        assert await decided(world, 1) == {"new": 1}
    assert world.logs[0]["event"] == "batch_again"


@pytest.mark.parametrize("moved", [1, 2], ids=["in the middle of a batch", "to its end"])
@pytest.mark.parametrize("when", ["after it was read", "before it is decided on"])
async def test_a_position_that_moved_elsewhere_is_respected(
    world: World, moved: int, when: str
) -> None:
    await accept(world, "Down", "Down")
    (partition,) = [p for p, end in (await world.stream.end_offsets()).items() if end]
    name = world.stream.name

    @dataclass
    class Overtaken(FaultyStore):
        """Another consumer moves the position after the first read, or before the first write."""

        moved: bool = False

        async def move(self) -> None:
            if not self.moved:
                self.moved = True
                await self.store.write(lambda tx: tx.advance(name, partition, 0, moved))

        @override
        async def read(self, work: Any) -> Any:
            found = await super().read(work)
            if when == "after it was read":
                await self.move()
            return found

        @override
        async def write(self, work: Any) -> Any:
            await self.move()
            return await super().write(work)

    async with running(a_pipeline(world, Overtaken(world.store))):
        await accept(world, "Down")
        await decided(world, 3 - moved)
    counters = await world.store.read(lambda tx: tx.counters())
    assert counters[f"records/{name}"] == 3 - moved
    assert await world.position(partition) == 3


async def test_two_consumers_share_the_work_and_decide_once(world: World) -> None:
    await accept_many(world, [f"service-{n}" for n in range(8)])
    async with running(a_pipeline(world)), running(a_pipeline(world)):
        await decided(world, 8)
        await accept_many(world, [f"service-{n}" for n in range(8)])
        assert await decided(world, 16) == {"unmatched": 8, "repeat": 8}


async def accept_many(world: World, services: Sequence[str]) -> None:
    alerts = [world.alert("FanNoisy", {"service": service}) for service in services]
    await world.intake.accept("alertmanager", alerts, 0)


async def accept_storm(world: World, count: int) -> None:
    """So many alerts of a service in the partition of the host."""
    host = world.stream.partition_of(world.alert().partition_key)
    service = next(
        each for n in range(99) if world.stream.partition_of(each := f"fans-{n}") == host
    )
    fans = [world.alert("FanNoisy", {"service": service, "fan": str(n)}) for n in range(count)]
    await world.intake.accept("alertmanager", fans, 0)


async def partition_of_host(world: World) -> int:
    """Where the records of `accept` come to."""
    (partition,) = [p for p, end in (await world.stream.end_offsets()).items() if end]
    return partition


async def test_a_position_of_another_log_stops_its_partition_until_it_is_set(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_stream, "STOPPED_ASKS_S", 0.01)
    await accept(world, "Down", "Down")
    partition = await partition_of_host(world)
    await world.store.write(lambda tx: tx.advance("embedded@removed", partition, 0, 1))
    pipeline = a_pipeline(world)
    async with running(pipeline):
        await until(lambda: bool(pipeline.stopped))
        (problem,) = pipeline.stopped.values()
        assert "processed up to 1 in log removed" in problem
        await accept_many(world, [f"service-{n}" for n in range(8)])
        others = sum(end for p, end in (await world.stream.end_offsets()).items() if p != partition)
        assert await decided(world, others) == {"unmatched": others}, "the other goes on"
        await world.store.write(lambda tx: tx.advance(world.stream.name, partition, 0, 0))
        assert (await decided(world, 10))["new"] == 1
        assert pipeline.stopped == {}
    assert [log["event"] for log in world.logs].count("partition_stopped") == 1


async def test_a_position_without_records_stops_its_partition_until_it_is_set(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_stream, "STOPPED_ASKS_S", 0.01)
    await accept(world, "Down", "Down")
    partition, name = await partition_of_host(world), world.stream.name
    await world.store.write(lambda tx: tx.advance(name, partition, 0, 7))
    store = FaultyStore(world.store)
    pipeline = a_pipeline(world, store)
    async with running(pipeline):
        await until(lambda: bool(pipeline.stopped))
        (problem,) = pipeline.stopped.values()
        assert "go on at 7 and holds 0 to 2" in problem
        assert pipeline.assigned == {0, 1}
        looked = store.reads
        await until(lambda: store.reads > looked + 3)
        assert list(pipeline.stopped.values()) == [problem], "it is told without a break"
        await world.store.write(lambda tx: tx.advance(name, partition, 7, 1))
        assert await decided(world, 1) == {"new": 1}
        assert pipeline.stopped == {}
    assert pipeline.assigned == frozenset()
    assert [log["event"] for log in world.logs].count("partition_stopped") == 1


async def test_a_position_from_before_the_logs_id_was_known_is_kept_as_this_logs(
    world: World,
) -> None:
    """At once: another log may take its place before there is another record."""
    await accept(world, "Down", "Down")
    partition = await partition_of_host(world)
    await world.store.write(lambda tx: tx.advance("embedded", partition, 0, 2))
    async with running(a_pipeline(world)), asyncio.timeout(DEADLINE_S):
        while await world.position(partition) != 2:
            await asyncio.sleep(0)
        await accept(world, "Down")
        assert await decided(world, 1) == {"new": 1}


async def test_poison_does_not_stop_the_partition(world: World) -> None:
    await world.stream.append([Message(world.alert().partition_key, b"no JSON")])
    await accept(world, "Down")
    async with running(a_pipeline(world)):
        assert await decided(world, 2) == {"new": 1, "poison": 1}


@dataclass(frozen=True)
class GappyInventory(Inventory):
    """quell with a bug: it fails on hosts whose names begin so."""

    cursed: list[str] = field(default_factory=lambda: ["cursed"])

    @override
    def target_id(self, name: str) -> str:
        if name.startswith(tuple(self.cursed)):
            raise KeyError(name)
        return super().target_id(name)


def curse(world: World) -> GappyInventory:
    known = world.catalogs.active.inventory
    inventory = GappyInventory(known.targets, aliases=known.aliases)
    world.catalogs.active = replace(world.catalogs.active, inventory=inventory)
    return inventory


async def accept_of(world: World, *hosts: str) -> None:
    """An alert of each host, all in one partition."""
    alerts = [world.alert("Odd", {"service": "one", "instance": host}) for host in hosts]
    await world.intake.accept("alertmanager", alerts, 0)


async def dead_letters(world: World) -> list[str]:
    return [each.reason for each in await world.queries.dead_letters(100)]


async def test_a_record_that_meets_a_gap_in_quell_is_given_up_and_its_neighbours_are_decided(
    world: World,
) -> None:
    curse(world)
    await accept_of(world, "a:1", "cursed:1", "b:1")
    async with running(a_pipeline(world)):
        assert await decided(world, 3) == {"unmatched": 2, "poison": 1}
        await accept_of(world, "c:1")
        assert await decided(world, 4) == {"unmatched": 3, "poison": 1}
    (reason,) = await dead_letters(world)
    assert reason.startswith("a gap in quell: KeyError at tests/test_pipeline.py:")
    assert (await world.queries.balance()).difference == 0
    assert 'quell_faults_total{part="record"} 1.0' in world.metrics.text().decode()
    traces = [log for log in world.logs if log["event"] == "batch_failed"]
    assert [each["records"] for each in traces] == [3, 1]
    assert all(each["exc_info"] for each in traces)


async def test_a_broken_quell_keeps_the_rest_in_the_stream_until_it_is_mended(
    world: World,
) -> None:
    inventory, pipeline = curse(world), a_pipeline(world)
    hosts = [f"cursed:{n}" for n in range(MAX_GIVEN_UP_IN_A_ROW + 5)]
    await accept_of(world, *hosts)
    async with running(pipeline):
        await until(lambda: bool(pipeline.stopped))
        await until(lambda: world.clock.sleeping == 1)
        for _ in range(3):
            world.clock.advance(RETRY_S)
            await until(lambda: world.clock.sleeping == 0)
            await until(lambda: world.clock.sleeping == 1)
        ((partition, reason),) = pipeline.stopped.items()
        assert f"partition {partition} waits at {MAX_GIVEN_UP_IN_A_ROW}: " in reason
        assert len(await dead_letters(world)) == MAX_GIVEN_UP_IN_A_ROW
        await accept_many(world, [f"service-{n}" for n in range(8)])
        world.clock.advance(RETRY_S)
        await until(lambda: world.clock.sleeping == 0)
        inventory.cursed.clear()
        world.clock.advance(RETRY_S)
        found = await decided(world, len(hosts) + 8)
    assert found == {"poison": MAX_GIVEN_UP_IN_A_ROW, "unmatched": 5 + 8}
    assert pipeline.stopped == {}


async def test_what_the_store_refuses_is_not_skipped_by_the_batch_behind_it(world: World) -> None:
    refused = PermanentError("the store refused a statement")
    store = FaultyStore(world.store, [refused, refused, refused])
    await accept_of(world, "a:1")
    pipeline = a_pipeline(world, store)
    with pytest.raises(PermanentError):
        await pipeline.run()
    await accept_of(world, "b:1")
    async with running(pipeline):
        assert await decided(world, 2) == {"unmatched": 2}
