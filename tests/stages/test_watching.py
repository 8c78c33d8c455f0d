"""The watch tells a part that stands still from a store or a broker that is away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from typing_extensions import override

from engine.core.progress import STALLED_S, Standing
from engine.errors import OutcomeUnknownError, PermanentError, TransientError
from engine.ports.store import Store
from engine.stages import watching
from engine.stages.watching import (
    LOOK_EVERY_S,
    MEND_AFTER_S,
    PROBES,
    STUCK_AFTER_S,
    Own,
    WatchStage,
)
from tests.doubles.virtual_time import until
from tests.doubles.world import World

AWAY = TransientError("no server answers")


@dataclass
class Unsteady(Store):
    """A store whose writes fail with `fault`, or never answer while `hangs`."""

    store: Store
    fault: Exception | None = None
    hangs: bool = False

    @override
    async def write(self, work: Any) -> Any:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault
        return await self.store.write(work)

    @override
    async def read(self, work: Any) -> Any:
        return await self.store.read(work)

    @override
    async def wait_for_work(self, timeout_s: float) -> None:
        raise NotImplementedError


@dataclass
class Process:
    """What this process does itself, as a test sets it."""

    assigned: frozenset[int] | None = frozenset({0, 1})
    stopped: dict[int, str] = field(default_factory=dict)
    free_places: int = 32
    failing: dict[str, str] = field(default_factory=dict)
    refuses: str = ""
    stream_away: str = ""
    mended: int = 0

    def own(self) -> Own:
        return Own(
            assigned=lambda: self.assigned,
            stopped=lambda: self.stopped,
            free_places=lambda: self.free_places,
            failing=lambda: self.failing,
            takes_alerts=self.takes_alerts,
            stream_away=lambda: self.stream_away,
            mend=self.mend,
        )

    async def takes_alerts(self) -> None:
        if self.refuses:
            raise TransientError(self.refuses)

    def mend(self) -> None:
        self.mended += 1


@dataclass
class Watched:
    world: World
    store: Unsteady
    process: Process
    stage: WatchStage

    async def looks(self, seconds: float) -> None:
        """Look as often as in so much time."""
        for _ in range(round(seconds / LOOK_EVERY_S)):
            await self.stage.look()
            self.world.clock.advance(LOOK_EVERY_S)

    async def append(self, service: str = "a", count: int = 1) -> int:
        """Records that nobody decides on; the partition."""
        alerts = [self.world.alert(f"Odd{n}", {"service": service}) for n in range(count)]
        await self.world.intake.accept("alertmanager", alerts, 0)
        return self.world.stream.partition_of(service)


def stalled(stage: WatchStage) -> list[Standing]:
    return [each for each in stage.standing.values() if each.is_stalled]


@pytest.fixture
async def watched(world: World) -> AsyncIterator[Watched]:
    store, process = Unsteady(world.store), Process()
    stage = WatchStage(store, world.stream, world.clock, world.metrics, process.own())
    yield Watched(world, store, process, stage)


async def test_a_partition_with_lag_and_no_progress_fails_the_process_that_owns_it(
    watched: Watched,
) -> None:
    partition = await watched.append(count=3)
    await watched.looks(STALLED_S)
    assert watched.stage.problems() == []
    await watched.looks(LOOK_EVERY_S)
    (problem,) = watched.stage.problems()
    assert problem == (
        f"partition {partition}: 3 records waiting, and none was taken since "
        "2026-03-01 12:00:00 UTC, 60 s of that with store and stream at hand: restart this process"
    )
    assert [each.seen.part for each in stalled(watched.stage)] == [f"partition {partition}"]
    watched.process.assigned = frozenset({1 - partition})
    assert watched.stage.problems() == []
    assert len(stalled(watched.stage)) == 1
    watched.process.assigned = None
    assert watched.stage.problems() == []
    assert f'quell_stalled_seconds{{part="partition {partition}"}} 60.0' in text(watched)


def text(watched: Watched) -> str:
    return watched.world.metrics.text().decode()


async def test_it_is_well_again_once_something_was_decided(watched: Watched) -> None:
    partition = await watched.append(count=3)
    await watched.looks(STALLED_S + LOOK_EVERY_S)
    assert watched.stage.problems() != []
    await watched.world.consume()
    await watched.append()
    await watched.looks(LOOK_EVERY_S)
    assert watched.stage.problems() == []
    assert stalled(watched.stage) == []
    assert f'quell_stalled_seconds{{part="partition {partition}"}} 0.0' in text(watched)


async def test_a_slow_partition_that_moves_is_no_stall(watched: Watched) -> None:
    await watched.append(count=200)
    name, partition = watched.world.stream.name, watched.world.stream.partition_of("a")
    for step in range(40):
        await watched.looks(LOOK_EVERY_S)
        if step % 10 == 9:
            await watched.world.store.write(
                lambda tx, at=step // 10: tx.advance(name, partition, at, at + 1)  # type: ignore[misc]
            )
    assert watched.stage.problems() == []


async def test_the_pipeline_begins_anew_once_before_the_process_is_given_up(
    watched: Watched,
) -> None:
    await watched.append()
    await watched.looks(MEND_AFTER_S)
    assert watched.process.mended == 0
    await watched.looks(STALLED_S)
    assert watched.process.mended == 1
    await watched.world.consume()
    await watched.append()
    await watched.looks(MEND_AFTER_S + 2 * LOOK_EVERY_S)
    assert watched.process.mended == 2


async def test_who_has_no_partition_gives_the_others_time_and_then_blames_itself(
    watched: Watched,
) -> None:
    watched.process.assigned = frozenset()
    await watched.append()
    await watched.looks(2 * STALLED_S)
    assert watched.stage.problems() == []
    assert watched.process.mended == 1
    await watched.looks(LOOK_EVERY_S)
    assert len(watched.stage.problems()) == 1


async def store_fails(watched: Watched) -> None:
    watched.store.fault = AWAY


async def stream_is_away(watched: Watched) -> None:
    watched.process.stream_away = "no broker answers"


async def stream_does_not_answer(watched: Watched) -> None:
    await watched.world.stream.close()


@pytest.mark.parametrize("begin", [store_fails, stream_is_away, stream_does_not_answer])
async def test_time_in_which_store_or_stream_is_away_does_not_count(
    watched: Watched, begin: Callable[[Watched], Awaitable[None]]
) -> None:
    await watched.append()
    await watched.looks(STALLED_S / 2)
    await begin(watched)
    await watched.looks(600)
    assert watched.stage.problems() == []
    watched.store.fault, watched.process.stream_away = None, ""
    if begin is stream_does_not_answer:
        await watched.world.stream.open()
    await watched.looks(STALLED_S / 2)
    assert watched.stage.problems() == []
    await watched.looks(2 * LOOK_EVERY_S)
    assert len(watched.stage.problems()) == 1


async def test_a_machine_that_slept_or_whose_clock_jumped_has_not_stalled(
    watched: Watched,
) -> None:
    await watched.append()
    clock = watched.world.clock
    await watched.stage.look()
    watched.store.fault = AWAY
    await watched.stage.look()
    for hours in (5, -5):
        clock.wrong_by = timedelta(hours=hours)
        assert watched.stage.problems() == []
        assert watched.stage.troubles() == []
        await watched.stage.look()
    watched.store.fault = None
    await watched.stage.look()
    clock.advance(86400)
    await watched.stage.look()
    assert watched.stage.problems() == []
    assert stalled(watched.stage) == []


@pytest.mark.parametrize(
    "fault",
    [AWAY, PermanentError("the file is no database"), OutcomeUnknownError("lost"), KeyError("x")],
    ids=lambda fault: type(fault).__name__,
)
async def test_a_store_that_cannot_be_written_makes_it_unready_and_is_told_after_a_minute(
    watched: Watched, fault: Exception
) -> None:
    watched.store.fault = fault
    await watched.looks(60)
    ((name, reason),) = watched.stage.unready()
    assert name == "store"
    assert reason.startswith("store: since 2026-03-01 12:00:00 UTC: ")
    assert [each.name for each in watched.stage.troubles()] == ["store"]
    assert watched.stage.problems() == [], "a restart would mend nothing"
    watched.store.fault = None
    await watched.looks(LOOK_EVERY_S)
    assert watched.stage.unready() == []
    assert watched.stage.troubles() == []


async def test_an_outage_shorter_than_a_minute_is_no_trouble(watched: Watched) -> None:
    watched.store.fault = AWAY
    await watched.looks(55)
    assert "quell_store_unwritable_seconds 50.0" in text(watched)
    assert watched.stage.troubles() == []
    watched.store.fault = None
    await watched.looks(LOOK_EVERY_S)
    watched.store.fault = AWAY
    await watched.looks(30)
    assert watched.stage.troubles() == []


async def test_a_store_that_hangs_is_away_and_holds_the_watch_for_a_moment_only(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "ANSWERS_WITHIN_S", 0.01)
    watched.store.hangs = True
    async with asyncio.timeout(5):
        await watched.stage.look()
    assert "no answer within" in watched.stage.unready()[0][1]


async def test_alerts_that_can_be_kept_nowhere_are_told_after_a_minute(watched: Watched) -> None:
    watched.process.refuses = "the spool is full"
    await watched.looks(65)
    assert watched.stage.unready()[0][1].endswith("UTC: the spool is full")
    (trouble,) = watched.stage.troubles()
    assert trouble.name == "stream"
    assert "it can keep no alert since 2026-03-01 12:00:00 UTC: the spool is full" in (
        trouble.sentence
    )


async def test_due_tasks_that_nobody_takes_fail_a_worker_with_free_places(
    watched: Watched,
) -> None:
    await watched.world.fire()
    watched.world.clock.advance(10)
    await watched.looks(STALLED_S + LOOK_EVERY_S)
    due = await watched.world.store.read(lambda tx: tx.due_work())
    assert due.tasks > 0
    (problem,) = watched.stage.problems()
    assert problem.startswith(f"tasks: {due.tasks} due task")
    (trouble,) = watched.stage.troubles()
    assert (trouble.name, "messages are tasks too" in trouble.sentence) == ("tasks", True)
    watched.process.free_places = 0
    assert watched.stage.problems() == [], "a restart would only cut short what is under way"
    assert len(watched.stage.troubles()) == 1
    await watched.world.claimed()
    await watched.looks(LOOK_EVERY_S)
    assert watched.stage.troubles() == []


async def test_what_has_stopped_or_fails_is_told_at_once(watched: Watched) -> None:
    watched.process.stopped[3] = "partition 3 is to go on at 5 and holds 7 to 9"
    watched.process.failing["worker"] = "KeyError"
    assert watched.stage.problems() == [
        "partition 3 is to go on at 5 and holds 7 to 9",
        "the worker fails again and again: KeyError",
    ]
    watched.process.stopped.clear()
    watched.process.failing.clear()
    assert watched.stage.problems() == []


async def test_a_watch_that_is_stuck_itself_is_told(watched: Watched) -> None:
    await watched.stage.look()
    watched.world.clock.advance(STUCK_AFTER_S)
    assert watched.stage.problems() == []
    watched.world.clock.advance(1)
    assert watched.stage.problems() == ["the watch itself is stuck for 91 s"]


async def test_it_looks_again_and_again_with_a_write_that_is_one(watched: Watched) -> None:
    async def probes() -> int:
        found: Mapping[str, int] = await watched.world.store.read(lambda tx: tx.counters())
        return found.get(PROBES, 0)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(watched.stage.run())
        for looks in (1, 2, 3):
            await until(lambda: watched.world.clock.sleeping == 1)
            assert await probes() == looks
            watched.world.clock.advance(LOOK_EVERY_S)
            await until(lambda: watched.world.clock.sleeping == 0)
        running.cancel()
    assert (await watched.world.queries.balance()).difference == 0


async def test_a_process_without_any_part_has_nothing_to_be_blamed_for(world: World) -> None:
    stage = WatchStage(world.store, world.stream, world.clock, world.metrics)
    await world.intake.accept("alertmanager", [world.alert()], 0)
    for _ in range(30):
        await stage.look()
        world.clock.advance(LOOK_EVERY_S)
    assert stage.problems() == []
    assert len(stalled(stage)) == 1
