"""Keeps the loops of one process going: one that fails begins anew, and the others don't notice."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from engine.core.progress import STALLED_S
from engine.ports.clock import Clock
from engine.ports.metrics import Metrics

log = structlog.get_logger(__name__)

Loop = Callable[[], Coroutine[None, None, None]]

FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 30.0
# A loop that hasn't failed for so long doesn't fail "again".
WORKS_AFTER_S = STALLED_S
# What a loop is cancelled with that is to begin anew.
_ANEW = "begin anew"


@dataclass(frozen=True, slots=True)
class _Failing:
    """A loop that fails again and again; `first_s` and `last_s` are on the monotonic clock."""

    since: datetime
    first_s: float
    last_s: float
    times: int
    reason: str


@dataclass(slots=True)
class Loops:
    """Loops by name, each in the task that keeps it."""

    clock: Clock
    metrics: Metrics
    _running: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _failing: dict[str, _Failing] = field(default_factory=dict)

    async def keep(self, name: str, loop: Loop) -> None:
        """Run `loop` until this is cancelled; whatever else ends it, it begins anew."""
        while True:
            reason = await self._run(name, loop)
            if reason:
                await self.clock.sleep(self._note(name, reason))

    def keeps(self, name: str) -> bool:
        """Whether this process has such a loop."""
        return name in self._running

    def begin_anew(self, name: str) -> None:
        """Cancel what the loop does now and let it begin again, which is no failure."""
        if name in self._running:
            self._running[name].cancel(_ANEW)

    def failing(self) -> Mapping[str, str]:
        """The loops that have failed for a minute, again and again, and how they did last."""
        now_s = self.clock.monotonic()
        return {
            name: f"{each.times} times since {each.since:%H:%M:%S} UTC, last by {each.reason}"
            for name, each in self._failing.items()
            if now_s - each.first_s >= WORKS_AFTER_S and now_s - each.last_s < WORKS_AFTER_S
        }

    async def _run(self, name: str, loop: Loop) -> str:
        """Run it once; why it ended, "" where it was told to."""
        try:
            async with asyncio.TaskGroup() as group:
                running = self._running[name] = group.create_task(loop(), name=name)
        except ExceptionGroup as failed:
            error = failed.exceptions[0]
            # By itself too: whoever wires a source looks for it behind some thirty lines of trace.
            why = f"{type(error).__name__}: {error}"
            log.error("loop_failed", loop=name, why=why, exc_info=error)
            return type(error).__name__
        if not running.cancelled():
            log.error("loop_ended", loop=name)
            return "an end that nobody asked for"
        try:
            running.result()
        except asyncio.CancelledError as error:
            if error.args == (_ANEW,):
                return ""
        # A library cancelled it: a task that is cancelled would else be gone without a word.
        log.error("loop_cancelled", loop=name)
        return "a cancellation that nobody asked for"

    def _note(self, name: str, reason: str) -> float:
        """Count a failure, and return for how long to pause."""
        now_s, before = self.clock.monotonic(), self._failing.get(name)
        if before is None or now_s - before.last_s >= WORKS_AFTER_S:
            before = _Failing(self.clock.now(), now_s, now_s, 0, reason)
        self._failing[name] = replace(before, last_s=now_s, times=before.times + 1, reason=reason)
        self.metrics.faults.labels(part=name).inc()
        return min(FIRST_PAUSE_S * 2.0**before.times, MAX_PAUSE_S)
