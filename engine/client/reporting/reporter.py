"""Counts an application's model calls and tells quell when they go wrong; never in their way."""

import atexit
import os
import socket
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self
from urllib.parse import quote

from engine.client.reporting.clock import moment
from engine.client.reporting.judging import Notice, Thresholds
from engine.client.reporting.ledger import Ledger
from engine.client.reporting.sender import Endpoint, Sender

# How long the process's end may be held up to tell the last.
CLOSE_WITHIN_S = 2.0
UNNAMED = "(unnamed)"


class Reporter:
    """One for a process; its methods may be called from any thread, take microseconds, never raise.

    Counts, latencies and the names of models and exception classes leave the process, and nothing
    else. A process that is forked counts and reports for itself.
    """

    def __init__(
        self,
        app: str,
        endpoint: Endpoint,
        *,
        labels: Mapping[str, str] | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        """`labels` are told with every notice, such as `service` and `environment`.

        `instance` is this host's name and process, unless it is among them. Raises ConfigError
        when the endpoint's `ca` can't be read.
        """
        self._app = app
        self._endpoint = endpoint
        self._given = dict(labels or {})
        self._thresholds = thresholds or Thresholds()
        self._begin()
        atexit.register(self.close)
        if hasattr(os, "register_at_fork"):
            begin = weakref.WeakMethod(self._begin)
            os.register_at_fork(after_in_child=lambda: (again := begin()) and again())

    def record(
        self,
        model: str,
        *,
        operation: str = "",
        deployment: str = "",
        error: object = "",
        latency_s: float | None = None,
    ) -> None:
        """One call that ended; `error` is the exception that failed it, or its class's name.

        Of another text nothing is told but that the call failed.
        """
        about = {
            "model": _text(model) or UNNAMED,
            "operation": _text(operation),
            "deployment": _text(deployment),
        }
        timed = latency_s if isinstance(latency_s, int | float) else None
        with self._lock:
            at_s = time.monotonic()
            self._ledger.add_call(about, at_s, error=_class_name(error), latency_s=timed)
            self._sender.start()

    def record_log(self, logger: str, level: str, *, error: object = "") -> None:
        """One log record that is no model call; its text isn't wanted."""
        with self._lock:
            about = {"logger": _text(logger) or UNNAMED, "level": _text(level)}
            self._ledger.add_record(about, time.monotonic(), error=_class_name(error))
            self._sender.start()

    @contextmanager
    def call(self, model: str, *, operation: str = "", deployment: str = "") -> Iterator[None]:
        """Time a call and record it, and how it failed; for `await` in it, too."""
        began_s = time.monotonic()
        error: object = ""
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            self.record(
                model,
                operation=operation,
                deployment=deployment,
                error=error,
                latency_s=time.monotonic() - began_s,
            )

    @property
    def thread_id(self) -> int | None:
        """The thread that sends; what it logs is no call of the application."""
        return self._sender.thread_id

    def close(self, within_s: float = CLOSE_WITHIN_S) -> None:
        """Send what waits, for at most `within_s`; what fires is left to expire, as it may last.

        Without it the process's end does the same.
        """
        self._sender.close(within_s)
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self) -> None:
        """With nothing counted and no thread: those of a parent process are not a child's."""
        instance = f"{socket.gethostname()}:{os.getpid()}"
        labels = {"app": self._app, "instance": instance} | self._given
        # Reentrant: a signal handler that logs may interrupt the very thread that counts.
        self._lock = threading.RLock()
        self._ledger = Ledger(labels, self._thresholds)
        self._sender = Sender(
            self._endpoint,
            f"/apps/{quote(self._app, safe='')}",
            self._collect,
            every_s=self._thresholds.every_s,
            worth_s=self._thresholds.expires_after_s,
        )

    def _collect(self) -> Sequence[Notice]:
        with self._lock:
            return list(self._ledger.notices(moment()))


def _text(value: object) -> str:
    """What is no text has no name; an application mustn't fail for what it reports."""
    return value if isinstance(value, str) else ""


def _class_name(error: object) -> str:
    """Never an error's message: a prompt or a token may stand in it."""
    if isinstance(error, BaseException):
        return type(error).__name__
    name = _text(error)
    return name if name.replace(".", "").isidentifier() else UNNAMED if error else ""
