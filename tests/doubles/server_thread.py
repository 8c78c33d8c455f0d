"""Runs an aiohttp application on a free loopback port, in a thread with its own event loop."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from aiohttp import web

START_DEADLINE_S = 10.0
STOP_DEADLINE_S = 10.0
# Handlers that still wait when the server stops, for instance a held answer, are cancelled.
SHUTDOWN_GRACE_S = 0.1

T = TypeVar("T")


class ServerThread:
    """One server; a process under test talks to it while the test's own thread looks on."""

    def __init__(self, app: web.Application, name: str) -> None:
        self._app = app
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = Future()

    def start(self) -> None:
        self._thread.start()
        self._ready.result(START_DEADLINE_S)

    def stop(self) -> None:
        loop, stopping, _ = self._ready.result(0)
        loop.call_soon_threadsafe(stopping.set)
        self._thread.join(STOP_DEADLINE_S)
        if self._thread.is_alive():
            raise TimeoutError(f"{self._thread.name} didn't stop within {STOP_DEADLINE_S} s")

    @property
    def address(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self._ready.result(0)[2]}"

    def run(self, coroutine: Coroutine[Any, Any, T], deadline_s: float) -> T:
        """Run a coroutine on the server's loop and wait for its result in the caller's thread."""
        loop, _, _ = self._ready.result(0)
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(deadline_s)

    def _serve(self) -> None:
        try:
            asyncio.run(self._main())
        except OSError as error:  # the port could not be bound
            self._ready.set_exception(error)

    async def _main(self) -> None:
        stopping = asyncio.Event()
        runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=SHUTDOWN_GRACE_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port: int = runner.addresses[0][1]
            self._ready.set_result((asyncio.get_running_loop(), stopping, port))
            await stopping.wait()
        finally:
            await runner.cleanup()
