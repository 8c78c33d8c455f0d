"""Blocking SDKs beside the event loop: at most so many threads, and a slot is a thread's own."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from engine.errors import TransientError

P = ParamSpec("P")
T = TypeVar("T")


class BoundedThreads:
    """The threads of one connection.

    A caller that gives up leaves its thread behind, and the slot stays taken until that thread
    returns: a hanging system can't eat more than `size` threads. So each call needs a time-out of
    its own inside the SDK.
    """

    def __init__(self, name: str, size: int, waiting: int = 64) -> None:
        """Beyond `size` running and `waiting` queued calls, further ones are refused."""
        self._name = name
        self._size = size
        self._waiting = waiting
        self._open = 0
        self._threads = ThreadPoolExecutor(size, thread_name_prefix=name)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in one of the threads and return what it returns, or raise what it raises.

        Raises TransientError when as many calls wait already as may. A cancelled caller whose
        call still waited for a slot takes it back: it never starts.
        """
        if self._open >= self._size + self._waiting:
            raise TransientError(
                f"{self._name!r}: all {self._size} threads are busy and {self._waiting} calls "
                "wait already; try again later"
            )
        context = contextvars.copy_context()
        self._open += 1
        loop = asyncio.get_running_loop()
        submitted = self._threads.submit(context.run, partial(function, *args, **kwargs))
        submitted.add_done_callback(lambda _: _tell(loop, self._returned))
        return await asyncio.wrap_future(submitted)

    def close(self) -> None:
        """Take no further calls; those that wait are dropped, those that run end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _returned(self) -> None:
        self._open -= 1


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    # The thread may outlive the loop; then nobody counts any more.
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback)
