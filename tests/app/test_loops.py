"""A loop that ends, however it does, begins anew; its siblings go on, and nobody is silent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from structlog.testing import capture_logs

from engine.app.loops import FIRST_PAUSE_S, MAX_PAUSE_S, Loops
from engine.core.progress import STALLED_S
from engine.ports.metrics import Metrics
from tests.doubles.virtual_time import VirtualClock, until


@dataclass
class Script:
    """A loop whose runs end as they are told; without a word left they go on."""

    ends: list[Exception | str] = field(default_factory=list)
    runs: int = 0

    async def loop(self) -> None:
        self.runs += 1
        if not self.ends:
            await asyncio.Event().wait()
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        if end == "cancelled":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)


@dataclass
class Kept:
    clock: VirtualClock = field(default_factory=VirtualClock)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.loops = Loops(self.clock, self.metrics)

    @asynccontextmanager
    async def keeping(self, **scripts: Script) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self.loops.keep(name, each.loop))
                for name, each in scripts.items()
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def pass_pause(self, script: Script) -> None:
        await until(lambda: self.clock.sleeping == 1)
        runs = script.runs
        self.clock.advance(MAX_PAUSE_S)
        await until(lambda: script.runs > runs)


async def test_whatever_ends_a_loop_it_begins_anew_beside_one_that_works() -> None:
    kept, bad = Kept(), Script([KeyError("x"), "ended", "cancelled"])
    good = Script()
    with capture_logs() as logs:
        async with kept.keeping(bad=bad, good=good):
            for _ in range(3):
                await kept.pass_pause(bad)
            await until(lambda: bad.runs == 4)
    assert good.runs == 1
    assert [log["event"] for log in logs] == ["loop_failed", "loop_ended", "loop_cancelled"]
    assert isinstance(logs[0]["exc_info"], KeyError)
    assert logs[0]["why"] == "KeyError: 'x'"
    counted = kept.metrics.registry.get_sample_value("quell_faults_total", {"part": "bad"})
    assert counted == 3


async def test_the_pauses_grow_so_that_nothing_spins() -> None:
    kept, bad = Kept(), Script([KeyError()] * 9)
    pauses = []
    async with kept.keeping(bad=bad):
        for run in range(9):
            await until(lambda: kept.clock.sleeping == 1)
            asleep = 0.0
            while bad.runs == run + 1:
                kept.clock.advance(0.5)
                asleep += 0.5
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            pauses.append(asleep)
    assert pauses[:3] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert max(pauses) <= MAX_PAUSE_S + 1


async def test_one_that_fails_for_a_minute_is_told_until_it_works_for_one() -> None:
    kept, bad = Kept(), Script([KeyError()] * 5)
    async with kept.keeping(bad=bad):
        assert kept.loops.failing() == {}
        await kept.pass_pause(bad)
        await until(lambda: kept.clock.sleeping == 1)
        assert kept.loops.failing() == {}
        for _ in range(3):
            await kept.pass_pause(bad)
        await until(lambda: kept.clock.sleeping == 1)
        (told,) = kept.loops.failing().values()
        assert told == "5 times since 12:00:00 UTC, last by KeyError"
        await kept.pass_pause(bad)
        assert bad.ends == []
        kept.clock.advance(STALLED_S)
        assert kept.loops.failing() == {}


async def test_a_failure_after_a_long_time_is_not_one_more() -> None:
    kept, bad = Kept(), Script([KeyError()])
    async with kept.keeping(bad=bad):
        await kept.pass_pause(bad)
        kept.clock.advance(STALLED_S)
        bad.ends.append(KeyError())
        kept.loops.begin_anew("bad")
        await until(lambda: kept.clock.sleeping == 1)
        assert kept.loops.failing() == {}


async def test_a_loop_that_hangs_can_begin_anew_at_once() -> None:
    kept, hanging = Kept(), Script()
    with capture_logs() as logs:
        async with kept.keeping(hanging=hanging):
            await until(lambda: hanging.runs == 1)
            kept.loops.begin_anew("hanging")
            await until(lambda: hanging.runs == 2)
            kept.loops.begin_anew("nothing of this name")
    assert logs == []
    assert kept.clock.sleeping == 0
