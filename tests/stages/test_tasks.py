"""Workers: a lease is held while working, and one task's failure stops no other."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from typing_extensions import override

from engine.errors import TransientError
from engine.ports.rows import Task, TaskKind
from engine.ports.store import Store, Tx
from engine.stages.tasks import (
    CONCURRENT_TASKS,
    HEARTBEAT_S,
    LEASE_S,
    MAX_BACK_OFF_S,
    PARKED_AFTER,
    SAFETY_NET_S,
    Handler,
    TaskLoop,
    back_off,
)
from tests.doubles.virtual_time import START, VirtualClock, until
from tests.doubles.world import World

T = TypeVar("T")


@dataclass
class Work:
    """A handler that notes what it was given and finishes it, unless it is told otherwise."""

    world: World
    done: list[str] = field(default_factory=list)
    faults: dict[str, Exception] = field(default_factory=dict)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    async def handle(self, task: Task) -> None:
        self.begun.append(task.key)
        if task.key in self.faults:
            raise self.faults[task.key]
        if task.key in self.held:
            try:
                await self.held[task.key].wait()
            except asyncio.CancelledError:
                self.cancelled.append(task.key)
                raise
        await self.world.store.write(lambda tx: tx.finish_task(task))
        self.done.append(task.key)


async def put(world: World, *keys: str, kind: TaskKind = "run", priority: int = 2) -> None:
    for key in keys:
        task = Task(kind, key, START, priority, {"incident_id": "i"})
        await world.store.write(lambda tx, task=task: tx.put_task(task))  # type: ignore[misc]


@asynccontextmanager
async def working(world: World, handler: Handler) -> AsyncIterator[None]:
    """The loop at work over tasks of kind `run`."""
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(world.loop(run=handler).run())
        try:
            yield
        finally:
            loop.cancel()


async def the_task(world: World, key: str) -> Task:
    return (await world.tasks("run"))[f"run/{key}"]


async def test_due_tasks_are_handed_out_the_most_urgent_first(world: World) -> None:
    work = Work(world)
    await put(world, "minor", priority=4)
    await put(world, "major", priority=1)
    async with working(world, work.handle):
        await until(lambda: len(work.done) == 2)
    assert work.begun == ["major", "minor"]
    assert await world.tasks("run") == {}


async def test_only_the_kinds_with_a_handler_are_claimed(world: World) -> None:
    work = Work(world)
    await put(world, "other", kind="ticket")
    await put(world, "one")
    async with working(world, work.handle):
        await until(lambda: work.done == ["one"])
    assert work.begun == ["one"]


@dataclass
class ListeningStore(Store):
    """Notes how long its workers mean to wait."""

    store: Store
    waits: list[float] = field(default_factory=list)
    writes: int = 0

    @override
    async def write(self, work: Callable[[Tx], T]) -> T:
        self.writes += 1
        return await self.store.write(work)

    @override
    async def read(self, work: Callable[[Tx], T]) -> T:
        return await self.store.read(work)

    @override
    async def wait_for_work(self, timeout_s: float) -> None:
        self.waits.append(timeout_s)
        await self.store.wait_for_work(timeout_s)


async def test_what_is_due_for_others_keeps_nobody_awake(world: World) -> None:
    await put(world, "other", kind="ticket")
    store = ListeningStore(world.store)
    loop = TaskLoop(store, world.clock, "w", {"run": Work(world).handle}, world.metrics)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(loop.run())
        await until(lambda: len(store.waits) == 2)  # the first one returns at once
        task.cancel()
    assert store.waits == [SAFETY_NET_S, SAFETY_NET_S]


async def test_a_wake_up_for_what_is_due_later_costs_no_claim(world: World) -> None:
    work = Work(world)
    store = ListeningStore(world.store)
    loop = TaskLoop(store, world.clock, "w", {"run": work.handle}, world.metrics)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(loop.run())
        await until(lambda: len(store.waits) == 2)
        claims = store.writes
        later = Task("run", "later", in_s(world, 3600), 2, {"incident_id": "i"})
        await world.store.write(lambda tx: tx.put_task(later))
        await until(lambda: len(store.waits) == 3)
        assert store.writes == claims
        world.clock.at = later.not_before
        await world.ring()
        await until(lambda: work.done == ["later"])
        task.cancel()


async def test_a_commit_wakes_the_workers(world: World) -> None:
    work = Work(world)
    async with working(world, work.handle):
        await until_idle(world)
        await put(world, "one")
        await until(lambda: work.done == ["one"])


async def until_idle(world: World) -> None:
    """Give the loop time to find nothing and to wait."""
    for _ in range(3):
        await world.store.read(lambda tx: tx.now)


async def test_a_failed_task_is_put_off_and_its_siblings_go_on(world: World) -> None:
    work = Work(world, faults={"bad": ValueError("unforeseen")})
    await put(world, "bad", priority=1)
    await put(world, "good")
    async with working(world, work.handle):
        await until(lambda: work.done == ["good"] and work.begun[0] == "bad")
        await until_failures(world, 1)
        assert in_s(world, 0.5) <= (await the_task(world, "bad")).not_before < in_s(world, 1.5)
        world.clock.at = (await the_task(world, "bad")).not_before
        await world.ring()
        await until_failures(world, 2)
        assert in_s(world, 1) <= (await the_task(world, "bad")).not_before < in_s(world, 3)
        del work.faults["bad"]
        world.clock.at = (await the_task(world, "bad")).not_before
        await world.ring()
        await until(lambda: work.done == ["good", "bad"])
    text = world.metrics.text().decode()
    assert 'quell_task_failures_total{kind="run"} 2.0' in text


def in_s(world: World, seconds: float) -> datetime:
    return world.clock.at + timedelta(seconds=seconds)


async def until_failures(world: World, count: int) -> None:
    async with asyncio.timeout(10):
        while (await the_task(world, "bad")).failures != count:
            await asyncio.sleep(0)


async def test_the_delay_of_a_task_that_keeps_failing_is_bounded(world: World) -> None:
    work = Work(world, faults={"bad": TransientError("away")})
    await put(world, "bad")
    async with working(world, work.handle):
        for failures in range(1, 12):
            await until_failures(world, failures)
            world.clock.at = (await the_task(world, "bad")).not_before
            await world.ring()
        await until_failures(world, 12)
        longest = in_s(world, 1.5 * MAX_BACK_OFF_S)
        assert in_s(world, 0.5 * MAX_BACK_OFF_S) <= (await the_task(world, "bad")).not_before
        assert (await the_task(world, "bad")).not_before < longest


def test_what_fails_together_does_not_come_back_together() -> None:
    tasks = [
        Task("run", str(token), START, 1, {}, token=token, failures=6) for token in range(1, 101)
    ]
    delays = sorted(back_off(task).total_seconds() for task in tasks)
    assert 32 <= delays[0] < delays[-1] < 96
    # A hundred over a minute: any second of it gets a few.
    assert max(sum(s <= each < s + 1 for each in delays) for s in range(32, 96)) <= 4


async def test_people_are_told_once_of_a_task_that_fails_again_and_again(world: World) -> None:
    work = Work(world, faults={"bad": ValueError("a gap")})
    told: list[tuple[str, int, str]] = []
    await put(world, "bad")
    loop = replace(
        world.loop(run=work.handle),
        parks={"run": lambda _, task, error: told.append((task.key, task.failures, error))},
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(loop.run())
        for failures in range(1, PARKED_AFTER + 3):
            await until_failures(world, failures)
            world.clock.at = (await the_task(world, "bad")).not_before
            await world.ring()
        running.cancel()
    assert told == [("bad", PARKED_AFTER - 1, "a gap")]


async def test_the_lease_of_long_work_is_extended(world: World) -> None:
    work = Work(world, held={"long": asyncio.Event()})
    await put(world, "long")
    async with working(world, work.handle):
        await until(lambda: work.begun == ["long"] and world.clock.sleeping == 1)
        for _ in range(5):
            world.clock.advance(HEARTBEAT_S)
            await until(lambda: world.clock.sleeping == 1)
            assert await world.claim("run", worker="other") is None
        work.held["long"].set()
        await until(lambda: work.done == ["long"])
    assert world.clock.at > START + timedelta(seconds=LEASE_S)


def overtake(clock: VirtualClock, tx: Tx) -> Task | None:
    """The lease runs out, and another worker is faster than the one that had it."""
    clock.at += timedelta(seconds=LEASE_S)
    return tx.claim_task("other", LEASE_S, ["run"])


async def test_work_whose_lease_was_lost_is_stopped_and_left_alone(world: World) -> None:
    work = Work(world, held={"long": asyncio.Event()})
    await put(world, "long")
    left_behind: list[int] = []
    loop = replace(
        world.loop(run=work.handle),
        fenced={"run": lambda _, task: left_behind.append(task.token)},
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(loop.run())
        await until(lambda: work.begun == ["long"] and world.clock.sleeping == 1)
        taken = await world.store.write(partial(overtake, world.clock))
        assert taken is not None
        world.clock.advance(0)
        await until(lambda: work.cancelled == ["long"] and len(left_behind) == 1)
        await until_idle(world)
        await world.store.write(lambda tx: tx.hold_task(taken))
        running.cancel()
    assert work.done == []
    assert left_behind[0] < taken.token
    assert "quell_task_failures_total{" not in world.metrics.text().decode()


async def test_no_more_than_a_bounded_number_works_at_once(world: World) -> None:
    keys = [f"task-{n:02}" for n in range(CONCURRENT_TASKS + 1)]
    gate = asyncio.Event()
    work = Work(world, held=dict.fromkeys(keys, gate))
    await put(world, *keys)
    async with working(world, work.handle):
        await until(lambda: len(work.begun) == CONCURRENT_TASKS)
        await until_idle(world)
        assert len(work.begun) == CONCURRENT_TASKS
        gate.set()
        await until(lambda: len(work.done) == CONCURRENT_TASKS + 1)


async def test_a_stopped_loop_leaves_its_work_to_the_next_lease(world: World) -> None:
    work = Work(world, held={"long": asyncio.Event()})
    await put(world, "long")
    async with working(world, work.handle):
        await until(lambda: work.begun == ["long"])
    assert work.cancelled == ["long"]
    assert await world.claim("run") is None
    world.clock.advance(LEASE_S)
    assert (await world.claimed("run")).failures == 0


async def test_finishing_claims_nothing_more_and_waits_for_what_is_under_way(
    world: World,
) -> None:
    work = Work(world, held={"long": asyncio.Event()})
    await put(world, "long")
    loop = world.loop(run=work.handle)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(loop.run())
        await until(lambda: work.begun == ["long"])
        assert loop.free_places == CONCURRENT_TASKS - 1
        finishing = group.create_task(loop.finish())
        await until_idle(world)
        await put(world, "late")
        await until_idle(world)
        assert (work.begun, finishing.done()) == (["long"], False)
        work.held["long"].set()
        await until(finishing.done)
        running.cancel()
    await loop.give_back()
    assert (work.done, work.cancelled) == (["long"], [])
    assert set(await world.tasks("run")) == {"run/late"}
    assert loop.free_places == CONCURRENT_TASKS


async def test_what_is_cut_short_is_given_back_and_can_be_claimed_at_once(world: World) -> None:
    work = Work(world, held={"long": asyncio.Event(), "longer": asyncio.Event()})
    await put(world, "long", "longer")
    loop = world.loop(run=work.handle)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(loop.run())
        await until(lambda: len(work.begun) == 2)
        running.cancel()
    await loop.give_back()
    claimed = [await world.claimed("run", worker="other") for _ in range(2)]
    assert {each.key for each in claimed} == {"long", "longer"}
    assert [each.failures for each in claimed] == [0, 0]


async def test_a_lease_that_somebody_else_has_is_not_given_back(world: World) -> None:
    work = Work(world, held={"long": asyncio.Event()})
    await put(world, "long")
    loop = world.loop(run=work.handle)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(loop.run())
        await until(lambda: work.begun == ["long"])
        running.cancel()
    taken = await world.store.write(partial(overtake, world.clock))
    assert taken is not None
    await loop.give_back()
    await world.store.write(lambda tx: tx.hold_task(taken))


async def test_a_loop_that_begins_anew_gives_back_what_it_left(world: World) -> None:
    work = Work(world, held={"long": asyncio.Event()})
    await put(world, "long")
    loop = world.loop(run=work.handle)
    for runs in (1, 2):
        async with asyncio.TaskGroup() as group:
            running = group.create_task(loop.run())
            await until(lambda: len(work.begun) == runs)  # noqa: B023 - used in this turn
            running.cancel()
    assert work.begun == ["long", "long"]
