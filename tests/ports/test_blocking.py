import asyncio
import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from engine.errors import TransientError
from engine.ports.blocking import BoundedThreads

DEADLINE_S = 10.0


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()  # no thread outlives its test


async def test_a_result_and_an_error_come_back() -> None:
    threads = BoundedThreads("x", 1)
    assert await threads.call(pow, 2, 5) == 32
    with pytest.raises(ZeroDivisionError):
        await threads.call(divmod, 1, 0)
    threads.close()


async def test_the_callers_context_reaches_the_thread() -> None:
    threads = BoundedThreads("x", 1)
    incident: ContextVar[str] = ContextVar("incident", default="")
    incident.set("INC-1")
    assert await threads.call(incident.get) == "INC-1"
    threads.close()


async def test_a_caller_that_gives_up_leaves_its_slot_taken(release: threading.Event) -> None:
    threads = BoundedThreads("x", 1)
    started, second = threading.Event(), threading.Event()

    def hang() -> None:
        started.set()
        release.wait(DEADLINE_S)

    async with asyncio.TaskGroup() as group:
        first = group.create_task(threads.call(hang))
        await asyncio.to_thread(started.wait, DEADLINE_S)
        first.cancel()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await threads.call(second.set)
    release.set()
    await threads.call(int)  # the slot is free again
    assert not second.is_set()  # the call that was taken back never started
    threads.close()


async def test_calls_beyond_the_queue_are_refused(release: threading.Event) -> None:
    threads = BoundedThreads("prometheus", 1, waiting=1)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(threads.call(release.wait, DEADLINE_S))
        queued = group.create_task(threads.call(int))
        await asyncio.sleep(0)
        with pytest.raises(TransientError, match="'prometheus'"):
            await threads.call(int)
        release.set()
    assert running.result() and queued.result() == 0
    assert await threads.call(int) == 0
    threads.close()
