"""How late the event loop is, and where it is held: what holds it also keeps healthz waiting."""

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from engine.ports.metrics import Metrics

log = structlog.get_logger(__name__)

BEAT_S = 0.25
# The worst of this window and of the one before it is shown, so that no scrape misses it.
WINDOW_S = 30.0
# Past it the place is logged; nothing of quell's should hold the loop for more than 20 ms.
HELD_S = 2.0


class LoopLag:
    """Beats in the event loop, and watches the beat from a thread.

    Time is the process's own, not the Clock's: it measures this loop and nothing else.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._beat_at = time.monotonic()
        self._ended = threading.Event()

    async def run(self) -> None:
        """Measure until cancelled."""
        worst = before = 0.0
        ends_at = time.monotonic() + WINDOW_S
        with self._watched(threading.get_ident()):
            while True:
                self._beat_at = began_at = time.monotonic()
                await asyncio.sleep(BEAT_S)
                now = time.monotonic()
                worst = max(worst, now - began_at - BEAT_S)
                self._metrics.loop_lag.set(max(worst, before))
                if now >= ends_at:
                    worst, before, ends_at = 0.0, worst, now + WINDOW_S

    @contextmanager
    def _watched(self, loop_thread: int) -> Iterator[None]:
        self._ended.clear()
        thread = threading.Thread(
            target=self._watch, args=(loop_thread,), name="loop-watch", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self._ended.set()

    def _watch(self, loop_thread: int) -> None:
        """Log the place once, while the loop is still held there."""
        told = self._beat_at
        while not self._ended.wait(BEAT_S):
            held_s = time.monotonic() - self._beat_at
            if held_s < HELD_S or told == self._beat_at:
                continue
            told = self._beat_at
            frame = sys._current_frames().get(loop_thread)
            place = traceback.format_stack(frame)[-8:] if frame else []
            log.error("event_loop_held", for_s=round(held_s, 1), place="".join(place))
