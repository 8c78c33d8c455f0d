"""Durable work: claim by lease, hold it while working, never let one failure stop another."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from engine.errors import FencedError, OutcomeUnknownError, TransientError
from engine.ports.clock import Clock
from engine.ports.metrics import Metrics
from engine.ports.rows import Task, TaskKind
from engine.ports.store import Store, Tx

log = structlog.get_logger(__name__)

Handler = Callable[[Task], Awaitable[None]]

LEASE_S = 30.0
HEARTBEAT_S = 10.0
# Enough for a storm's runs to wait on their targets side by side; each is mostly idle.
CONCURRENT_TASKS = 32
# Polling is only the safety net: workers are woken by commits.
SAFETY_NET_S = 5.0
MAX_BACK_OFF_S = 300.0
GOLDEN_RATIO = 0.6180339887498949
# So often in a row is no bad moment any more: people are told, while it is tried on.
PARKED_AFTER = 5

# Tells people about a task that fails again and again: (transaction, task, error).
Park = Callable[[Tx, Task, str], None]
# What is left to do for a task whose lease was lost: (transaction, task).
Fenced = Callable[[Tx, Task], None]


@dataclass(slots=True)
class TaskLoop:
    """Claims due tasks, the most urgent first, and hands each to its kind's handler.

    A handler ends its task itself (finish or release). When it raises, the task is released
    with a growing delay; when the lease was lost, somebody else has it.
    """

    store: Store
    clock: Clock
    worker: str
    handlers: Mapping[TaskKind, Handler]
    metrics: Metrics
    parks: Mapping[TaskKind, Park] = field(default_factory=dict)
    fenced: Mapping[TaskKind, Fenced] = field(default_factory=dict)
    concurrent: int = CONCURRENT_TASKS
    # What was claimed and hasn't been handled to its end, by token; what was cut short stays.
    _under_way: dict[int, Task] = field(default_factory=dict)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _claiming: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def free_places(self) -> int:
        """How many more tasks would be claimed now."""
        return self.concurrent - len(self._under_way)

    @property
    def under_way(self) -> int:
        """How many tasks are being handled."""
        return len(self._under_way)

    async def run(self) -> None:
        """Work until cancelled; cancellation leaves open attempts to their bound and recovery."""
        await self.give_back()
        free = asyncio.Semaphore(self.concurrent)
        async with asyncio.TaskGroup() as group:
            while True:
                await free.acquire()
                async with self._claiming:
                    task = await self._claim()
                    if task is not None:
                        self._under_way[task.token] = task
                        group.create_task(self._supervise(task, free), name=task.id)
                        continue
                free.release()
                await self._wait()

    async def finish(self) -> None:
        """Claim nothing more, and return when nothing is under way; the caller owns the deadline.

        After it, cancel `run`, then call `give_back`.
        """
        await self._claiming.acquire()
        while self._under_way:
            self._ended.clear()
            await self._ended.wait()

    async def give_back(self) -> None:
        """Free the leases of what was cut short, so that nobody has to wait for their end."""
        while self._under_way:
            _, task = self._under_way.popitem()
            await self._free(task)

    async def _free(self, task: Task) -> None:
        # Where that can't be written, the lease runs out by itself.
        with suppress(TransientError, OutcomeUnknownError, FencedError):
            await self.store.write(lambda tx: tx.release_task(task, tx.now))

    async def _claim(self) -> Task | None:
        kinds = tuple(self.handlers)
        try:
            task = await self.store.write(lambda tx: tx.claim_task(self.worker, LEASE_S, kinds))
        except (TransientError, OutcomeUnknownError) as error:
            log.warning("claim_failed", error=str(error))
            await self.clock.sleep(1.0)
            return None
        if task is not None:
            self.metrics.last_progress.labels(part="worker").set(self.clock.now().timestamp())
        return task

    async def _wait(self) -> None:
        """Until something is due.

        Most that wakes a worker is for later, or for another one: that costs a look and no claim.
        """
        kinds, net = tuple(self.handlers), timedelta(seconds=SAFETY_NET_S)
        waited = False
        while True:
            try:
                due, now = await self.store.read(
                    lambda tx: (tx.next_due(kinds, before=tx.now + net), tx.now)
                )
            except TransientError as error:
                log.warning("wait_failed", error=str(error))
                await self.clock.sleep(1.0)
                return
            delay = SAFETY_NET_S if due is None else (due - now).total_seconds()
            if waited and delay <= 0:
                return
            # Who has just claimed in vain lets whoever is at it go on.
            await self.store.wait_for_work(max(min(delay, SAFETY_NET_S), 0.01))
            waited = True

    async def _supervise(self, task: Task, free: asyncio.Semaphore) -> None:
        """One task's failure never touches its siblings: it is logged and tried again later."""
        bound = structlog.contextvars.bound_contextvars(
            task=task.id, incident_id=task.payload.get("incident_id", "")
        )
        with bound:
            try:
                await self._hold_and_handle(task)
            except FencedError as error:
                log.warning("lease_lost", error=str(error))
                await self._make_good(task)
            except (TransientError, OutcomeUnknownError) as error:
                log.warning("task_put_off", error=str(error))
                self.metrics.task_failures.labels(kind=task.kind).inc()
                await self._put_off(task, str(error))
            except Exception as error:
                log.exception("task_failed", error=str(error))
                self.metrics.task_failures.labels(kind=task.kind).inc()
                await self._put_off(task, str(error))
            finally:
                free.release()
                self._ended.set()
            # Not in `finally`: who was cancelled still holds the lease.
            del self._under_way[task.token]

    async def _hold_and_handle(self, task: Task) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                heartbeat = group.create_task(self._heartbeat(task))
                with self.metrics.stage_seconds.labels(stage=task.kind).time():
                    await self.handlers[task.kind](task)
                heartbeat.cancel()
        except ExceptionGroup as failed:
            # Either the handler or the heartbeat failed; the first of them tells.
            raise failed.exceptions[0] from None

    async def _heartbeat(self, task: Task) -> None:
        while True:
            await self.clock.sleep(HEARTBEAT_S)
            with suppress(TransientError, OutcomeUnknownError):
                await self.store.write(lambda tx: tx.hold_task(task, LEASE_S))

    async def _make_good(self, task: Task) -> None:
        if (work := self.fenced.get(task.kind)) is not None:
            with suppress(TransientError, OutcomeUnknownError):
                await self.store.write(lambda tx: work(tx, task))

    async def _put_off(self, task: Task, error: str) -> None:
        def put_off(tx: Tx) -> None:
            if task.failures + 1 == PARKED_AFTER and task.kind in self.parks:
                self.parks[task.kind](tx, task, error)
            tx.release_task(task, tx.now + back_off(task), failed=True)

        with suppress(TransientError, OutcomeUnknownError, FencedError):
            await self.store.write(put_off)


def back_off(task: Task) -> timedelta:
    """How long a task that failed is put off: twice as long each time, and jittered.

    By the lease's token, which no other lease has: what failed together doesn't come back together.
    """
    jitter = 0.5 + (task.token * GOLDEN_RATIO) % 1.0
    return timedelta(seconds=min(2.0**task.failures, MAX_BACK_OFF_S) * jitter)
