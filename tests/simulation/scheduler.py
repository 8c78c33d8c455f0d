"""One seed decides it all: who goes on next, what fails, when time passes; in a single thread.

Every process stops at gates (before commits, reads, appends and each await of an action). When
all of them wait, the scheduler opens one gate, with or without a fault, or lets time pass.
"""

import asyncio
import selectors
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

from typing_extensions import override

from engine.ports.clock import Clock
from tests.doubles.virtual_time import START

T = TypeVar("T")

# How often a gate opens with a fault, and how often time passes although somebody could go on.
FAULT_RATE = 0.045
# Who is asked once a run at most would hardly meet a fault.
SELDOM_RATES = {"tracker": 0.3}
DELAY_RATE = 0.02
# Every gate can freeze its process, and one that sleeps meets little else.
FREEZE_RATE = 0.4
JUMP_RATE = 0.02
# Where a jump leaves a machine's clock; most are set right again by the next one.
WRONG_BY_S = (-3600.0, -20.0, -3.0, 0.0, 0.0, 0.0, 0.0, 3.0, 20.0, 3600.0)
CLOCK_JUMPS = "clock jumps"
NEVER = START + timedelta(days=1000)


class _NoSockets(selectors.SelectSelector):
    """Asks the kernel for nothing: whatever happens here is the scheduler's."""

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return []


class SimulationLoop(asyncio.SelectorEventLoop):
    """Knows when nobody can go on without the scheduler."""

    def __init__(self) -> None:
        super().__init__(_NoSockets())

    @property
    def idle(self) -> bool:
        """Whether no callback waits; nothing here uses sockets or the loop's own timers."""
        return not self._ready  # type: ignore[attr-defined]  # asyncio has no public name for it

    @override
    def run_in_executor(  # type: ignore[override]  # of the same call, without a thread
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """At once: a thread's end would come at a moment that no seed decides."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is the caller's
            done.set_exception(error)
        return done


@dataclass(eq=False, slots=True)
class Process:
    """What crashes or freezes as one. Nothing that a dead one does reaches anything.

    `wrong_by_s` is what its clock is off.
    """

    name: str
    mortal: bool = True
    dead: bool = False
    frozen_until: datetime = START
    wrong_by_s: float = 0.0
    task: asyncio.Task[Any] | None = None

    def crash(self) -> None:
        """End it as kill -9 does: its coroutines unwind, but all their gates are shut."""
        self.dead = True
        if self.task is not None:
            self.task.cancel()


@dataclass(eq=False, slots=True)
class _Waiting:
    process: Process
    what: str
    faults: tuple[str, ...]
    opened: asyncio.Future[str]
    due: datetime = START


@dataclass
class Scheduler:
    """Virtual time, gates and chance. `events` are the outside world's own: (when, what)."""

    random: Random
    at: datetime = START
    chaos: bool = True
    history: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    events: list[tuple[datetime, Callable[[], None]]] = field(default_factory=list)
    gates: list[_Waiting] = field(default_factory=list)
    sleepers: list[_Waiting] = field(default_factory=list)

    def tell(self, text: str) -> None:
        """Add a line to the history."""
        self.history.append(f"{(self.at - START).total_seconds():9.3f} {text}")

    def violate(self, text: str) -> None:
        """An invariant doesn't hold; the simulation ends before the next step."""
        self.tell(f"VIOLATION {text}")
        self.violations.append(text)

    def fault(self, kind: str, text: str) -> None:
        """Count a fault that is happening now."""
        self.counts[kind] += 1
        self.tell(f"FAULT {kind}: {text}")

    def chance(self, probability: float) -> bool:
        """Whether something disorderly happens; never once things have calmed down."""
        return self.chaos and self.random.random() < probability

    async def gate(self, process: Process, what: str, *faults: str) -> str:
        """Wait until it is this process's turn; the fault that happens to it, "" for none."""
        return await self._wait(self.gates, _Waiting(process, what, faults, _future()))

    async def sleep(self, process: Process, seconds: float) -> None:
        """Wait for time to pass."""
        await self.sleep_until(process, self.at + timedelta(seconds=max(seconds, 0)))

    async def sleep_until(
        self, process: Process, due: datetime | None, bells: list[asyncio.Future[str]] | None = None
    ) -> None:
        """Wait for a moment (None: for ever), or for one of those who know `bells` to ring."""
        waiting = _Waiting(process, "sleep", (), _future(), due or NEVER)
        rung = [] if bells is None else bells
        rung.append(waiting.opened)
        try:
            await self._wait(self.sleepers, waiting)
        finally:
            rung.remove(waiting.opened)

    async def _wait(self, queue: list[_Waiting], waiting: _Waiting) -> str:
        if waiting.process.dead:
            raise asyncio.CancelledError
        queue.append(waiting)
        try:
            return await waiting.opened
        finally:
            if waiting in queue:
                queue.remove(waiting)

    async def settle(self) -> None:
        """Let everybody run up to a gate, or to sleep."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulationLoop)
        while not loop.idle:
            await asyncio.sleep(0)

    async def step(self) -> bool:
        """Let everybody run up to a gate, then do one thing; False when nothing can happen."""
        await self.settle()
        able = [each for each in self.gates if each.process.frozen_until <= self.at]
        if not able or self.chance(DELAY_RATE):
            return self._pass_time() or bool(able)
        chosen = self.random.choice(able)
        self.gates.remove(chosen)
        chosen.opened.set_result(self._misfortune(chosen))
        return True

    def _misfortune(self, chosen: _Waiting) -> str:
        if not self.chance(SELDOM_RATES.get(chosen.what, FAULT_RATE)):
            return ""
        kinds = [*chosen.faults, *(("freeze", CLOCK_JUMPS) if chosen.process.mortal else ())]
        if not kinds:
            return ""
        kind: str = self.random.choice(kinds)
        if kind == "freeze":
            self._freeze(chosen)
            return ""
        self.fault(kind, f"{chosen.process.name} at {chosen.what}")
        if kind == CLOCK_JUMPS:
            chosen.process.wrong_by_s = self.random.choice(WRONG_BY_S)
            return ""
        return kind

    def _freeze(self, chosen: _Waiting) -> None:
        if self.random.random() < FREEZE_RATE:
            seconds = self.random.choice((8.0, 40.0, 90.0))
            chosen.process.frozen_until = self.at + timedelta(seconds=seconds)
            self.fault("freeze", f"{chosen.process.name} for {seconds:g} s at {chosen.what}")

    def _pass_time(self) -> bool:
        """Go to the next moment at which something happens, or jump over several."""
        dues = [
            max(each.due, each.process.frozen_until) for each in self.sleepers if each.due < NEVER
        ]
        dues += [due for due, _ in self.events]
        dues += [each.process.frozen_until for each in self.gates]
        if not dues:
            return False
        moment = max(self.at, min(dues))
        if self.chance(JUMP_RATE):
            moment += timedelta(seconds=45)
            self.fault("time passes at once", "45 s")
        # The outside goes on meanwhile, each thing in its time.
        for event in sorted(self.events, key=lambda each: each[0]):
            if event[0] <= moment:
                self.events.remove(event)
                self.at = max(self.at, event[0])
                event[1]()
        self.at = moment
        for each in list(self.sleepers):
            if max(each.due, each.process.frozen_until) <= self.at:
                self.sleepers.remove(each)
                if not each.opened.done():
                    each.opened.set_result("")
        return True


@dataclass(frozen=True, slots=True)
class ProcessClock(Clock):
    """The virtual time as one process sees it: while it is frozen it sleeps on."""

    scheduler: Scheduler
    process: Process

    @override
    def now(self) -> datetime:
        return self.scheduler.at + timedelta(seconds=self.process.wrong_by_s)

    @override
    def monotonic(self) -> float:
        return (self.scheduler.at - START).total_seconds()

    @override
    async def sleep(self, seconds: float) -> None:
        await self.scheduler.sleep(self.process, seconds)


def _future() -> asyncio.Future[str]:
    return asyncio.get_running_loop().create_future()
