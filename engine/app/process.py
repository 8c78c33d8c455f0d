"""How the engine lives as a process: its clock, server and signals."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import cast

import structlog
import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override

from engine.app.connections import BoundedHttp
from engine.app.tls import Tls, TlsDoor
from engine.errors import ConfigError
from engine.ports.clock import Clock
from engine.settings import host_and_port

# A connection that is kept open without a request; senders post in bursts.
KEEP_ALIVE_S = 15
# The exit code of a process that couldn't close in time; nothing is lost by it.
CUT_SHORT = 3
# How long open requests may take to finish once the engine was told to stop.
STOP_WITHIN_S = 10
# As uvicorn's own; the kernel may allow fewer.
BACKLOG = 2048

# On Linux the one that goes on while the machine is suspended: the world's effects do, too.
_MONOTONIC: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

log = structlog.get_logger(__name__)


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
    """Set by another clock once, when it is made; from then on it jumps only where it is set.

    Leases, expiries, the bounds of effects and the order of alerts stay right when somebody sets
    the machine's clock. It is the store's own time where quell keeps the store itself.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._anchor = clock.now()
        self._anchored_at = clock.monotonic()

    def set(self, now: datetime) -> None:
        """It is `now`."""
        self._anchor, self._anchored_at = now, self.monotonic()

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


class Server(uvicorn.Server):
    """Leaves the signals to the engine, which has more to stop than this server."""

    @contextlib.contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        yield


def http_server(app: ASGIApp, tls: Tls | None = None) -> Server:
    """uvicorn for this application; the caller binds the socket and stops it."""
    # uvicorn calls it to make the protocol of each connection.
    protocol = BoundedHttp if tls is None else partial(TlsDoor, tls)
    return Server(
        uvicorn.Config(
            app,
            http=cast("type[asyncio.Protocol]", protocol),
            # Its connections would be bounded by nothing.
            ws="none",
            # It would believe any local caller's word for who it is.
            proxy_headers=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_WITHIN_S,
        )
    )


def listen_on(address: str) -> socket.socket:
    """The bound socket. Raises ConfigError when the address can't be had."""
    host, port = host_and_port(address)
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        # From here connections wait in the kernel: the address works as soon as it is printed.
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"can't listen on {address}: {error.strerror}; choose another by `listen` in "
            "quell.yaml, or by --listen of `quell up`"
        ) from None
    return listening


def url_of(address: str, listening: socket.socket, *, scheme: str = "http") -> str:
    """Where this machine reaches it; a wildcard is no address to connect to."""
    given, _ = host_and_port(address)
    own = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(given, given)
    host = f"[{own}]" if ":" in own else own
    return f"{scheme}://{host}:{listening.getsockname()[1]}"


@contextlib.contextmanager
def stop_signals(stop: asyncio.Event) -> Iterator[None]:
    """The first SIGINT or SIGTERM sets `stop`; the second ends the process at once.

    Only the main thread can ask for that. The second is the kernel's own business: it works
    whatever the process does, and quell may be killed at any point.
    """
    loop = asyncio.get_running_loop()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)

    def first() -> None:
        stop.set()
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in numbers:
        loop.add_signal_handler(number, first)
    try:
        yield
    finally:
        if not stop.is_set():
            for number in numbers:
                loop.remove_signal_handler(number)


@contextlib.contextmanager
def on_hangup(act: Callable[[], None]) -> Iterator[None]:
    """SIGHUP calls `act`, as daemons do; in a terminal it stays the end of the terminal.

    Only the main thread can ask for that.
    """
    is_daemon = threading.current_thread() is threading.main_thread() and not _has_terminal()
    if not is_daemon:
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, act)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


class Shutdown:
    """That the process was asked to end, and by when it must have."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._timer: threading.Timer | None = None

    def bound(self, seconds: float) -> None:
        """From now on it has so long; then it ends, whatever hangs in it."""
        self._timer = threading.Timer(seconds, self._end, (seconds,))
        self._timer.daemon = True
        self._timer.start()

    def done(self) -> None:
        """Everything is closed in time."""
        if self._timer is not None:
            self._timer.cancel()

    def _end(self, seconds: float) -> None:
        log.error("stop_cut_short", after_s=seconds)
        os._exit(CUT_SHORT)
