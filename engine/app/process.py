"""How the engine lives as a process: its clock, server and signals."""

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override

from engine.app.connections import BoundedHttp
from engine.errors import ConfigError
from engine.ports.clock import Clock
from engine.settings import LoadedSettings, Settings

# A connection that is kept open without a request; senders post in bursts.
KEEP_ALIVE_S = 15
# How long open requests may take to finish once the engine was told to stop.
STOP_WITHIN_S = 10
# As uvicorn's own; the kernel may allow fewer.
BACKLOG = 2048

# On Linux the one that goes on while the machine is suspended: the world's effects do, too.
_MONOTONIC: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock(Clock):
    """The machine's clock."""

    @override
    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - this is the Clock

    @override
    def monotonic(self) -> float:
        return time.clock_gettime(_MONOTONIC)

    @override
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class AnchoredClock(Clock):
    """Set by another clock once, when it is made; from then on it never jumps.

    The store's own time where quell keeps the store itself: leases, expiries and the bounds of
    effects stay right when somebody sets the machine's clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._anchor = clock.now()
        self._anchored_at = clock.monotonic()

    @override
    def now(self) -> datetime:
        return self._anchor + timedelta(seconds=self.monotonic() - self._anchored_at)

    @override
    def monotonic(self) -> float:
        return self._clock.monotonic()

    @override
    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


def worker_name() -> str:
    """Who holds a lease, for people: the host and the process."""
    return f"{socket.gethostname()}/{os.getpid()}"


class _Server(uvicorn.Server):
    """Leaves the signals to the engine, which has more to stop than this server."""

    @contextlib.contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        yield


def http_server(loaded: LoadedSettings, app: ASGIApp) -> _Server:
    """uvicorn for this application; the caller binds the socket and stops it."""
    settings = loaded.settings
    return _Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            http=BoundedHttp,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_WITHIN_S,
        )
    )


def listen_on(settings: Settings) -> socket.socket:
    """The bound socket. Raises ConfigError when the address can't be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        # From here connections wait in the kernel: the address works as soon as it is printed.
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"can't listen on {settings.listen}: {error.strerror}; choose another with --listen"
        ) from None
    return listening


def url_of(settings: Settings, listening: socket.socket) -> str:
    """Where this machine reaches it; a wildcard is no address to connect to."""
    own = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    host = f"[{own}]" if ":" in own else own
    return f"http://{host}:{listening.getsockname()[1]}"


@contextlib.contextmanager
def stop_signals(stop: asyncio.Event) -> Iterator[None]:
    """SIGINT and SIGTERM set `stop` while this is open; only the main thread can ask for it."""
    loop = asyncio.get_running_loop()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
