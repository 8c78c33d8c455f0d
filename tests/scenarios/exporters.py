"""Fake exporters whose figures a test turns: each is one job's `/metrics` of one service."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.doubles.server_thread import ServerThread


@dataclass(frozen=True, slots=True)
class PerSecond:
    """A figure that goes on from where it is, by so much a second."""

    by: float


@dataclass(frozen=True, slots=True)
class FromNow:
    """A point in time, in seconds since 1970, so many seconds from when the figure was turned."""

    s: float


# None: the exporter doesn't show the series.
Figure = float | PerSecond | FromNow | None
# By series, as exporters write them: `node_filesystem_readonly{mountpoint="/"}`.
Figures = Mapping[str, Figure]


@dataclass
class Exporter:
    """What one address shows; `answers` says whether it does."""

    answers: bool = True
    _turned: dict[str, Figure] = field(default_factory=dict)
    _values: dict[str, float] = field(default_factory=dict)
    _counted_at: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def turn(self, figures: Figures) -> None:
        """Let these have other values from now on, and leave all others."""
        with self._lock:
            self._count()
            for series, figure in figures.items():
                self._turned[series] = figure
                match figure:
                    case None:
                        self._values.pop(series, None)
                    case PerSecond():
                        self._values.setdefault(series, 0.0)
                    case FromNow():
                        self._values[series] = time.time() + figure.s
                    case _:
                        self._values[series] = figure

    def text(self) -> str:
        """The page that Prometheus reads."""
        with self._lock:
            self._count()
            return "".join(f"{series} {value}\n" for series, value in self._values.items())

    def _count(self) -> None:
        now = time.monotonic()
        passed_s, self._counted_at = now - self._counted_at, now
        for series, figure in self._turned.items():
            if isinstance(figure, PerSecond):
                self._values[series] += figure.by * passed_s


@contextmanager
def served(exporters: Mapping[str, Exporter]) -> Iterator[str]:
    """Serve each under its path; the address is given."""

    async def answer(request: web.Request) -> web.Response:
        exporter = exporters[request.path]
        if not exporter.answers:
            return web.Response(status=503)
        return web.Response(text=exporter.text())

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    server = ServerThread(app, "exporters")
    server.start()
    try:
        yield server.address
    finally:
        server.stop()
