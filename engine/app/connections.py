"""What a caller may take before anybody knows who it is: connections, header bytes, and time."""

import asyncio
from asyncio.events import TimerHandle
from collections import Counter
from collections.abc import Collection, Mapping
from heapq import nlargest
from http import HTTPStatus
from time import monotonic
from typing import Any, Protocol, cast

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from engine.gateway.access import CERTIFICATE_NAMES

# Half of the files that a process may usually open: the others are for databases and hosts.
MAX_CONNECTIONS = 512
MAX_HEAD_BYTES = 64 * 1024
# From the connection, or the first byte of a later request, to the last byte of its headers.
HEAD_WITHIN_S = 15.0
# For a caller that doesn't read what it is answered; then the connection ends without a word.
READ_WITHIN_S = 15.0
RETRY_AFTER_S = 5

# Kinds of names in a certificate, as Python calls them.
_ALTERNATIVES = frozenset({"DNS", "URI", "email", "IP Address"})


class Connection(Protocol):
    """One of those that are open, whatever it has come to."""

    # Whose it is, and since when (`monotonic`: a loop's own time may count whole
    # milliseconds) its next move is awaited.
    peer: str
    since: float

    @property
    def is_closing(self) -> bool:
        """Whether it is as good as gone."""
        ...

    @property
    def waits(self) -> bool:
        """Whether the next move is the caller's."""
        ...

    def give_way(self) -> None:
        """End it, so that another one has room."""
        ...


def has_room(newcomer: Connection, connections: Collection[Connection]) -> bool:
    """Whether there is room for it among `connections`, of which it is one.

    Where there is none, those that wait longest for their caller give way, of the caller that has
    most connections: who opens many and says nothing keeps nobody out.
    """
    if len(connections) <= MAX_CONNECTIONS:
        return True
    open_ = [each for each in connections if not each.is_closing]
    if len(open_) <= MAX_CONNECTIONS:
        return True
    waiting = [each for each in open_ if each.waits and each is not newcomer]
    if not waiting:
        return False
    crowds = Counter(each.peer for each in open_)
    # A few at once, so that a flood isn't looked through for each of its connections.
    count = max(1, MAX_CONNECTIONS // 32)
    for each in nlargest(count, waiting, key=lambda each: (crowds[each.peer], -each.since)):
        each.give_way()
    return True


def names_in(certificate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The names of a checked certificate as Python tells it: its CN and its subjectAltName."""
    found = certificate or {}
    subject = [pair for part in found.get("subject", ()) for pair in part]
    names = [value for name, value in subject if name == "commonName"]
    names += [value for kind, value in found.get("subjectAltName", ()) if kind in _ALTERNATIVES]
    return tuple(dict.fromkeys(names))


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's own protocol, which bounds none of these; past a bound the caller is told so."""

    peer = ""
    # Both are set before `connection_made` where a handshake came first, which then is no more.
    since = 0.0
    door: Connection | None = None
    certificate_names: tuple[str, ...] = ()
    _timer: TimerHandle | None = None
    # Until the caller has read what it was sent.
    _reading: TimerHandle | None = None
    # Whether the next bytes belong to a request whose headers aren't complete.
    _in_head = True
    _head_bytes = 0

    @property
    def is_closing(self) -> bool:
        """Whether it is as good as gone."""
        return self.transport.is_closing()

    @property
    def waits(self) -> bool:
        """Whether the next move is the caller's: a request, its body, or to read the answer."""
        cycle = self.cycle
        is_under_way = cycle is not None and not cycle.response_complete
        return not is_under_way or cycle.more_body or self._reading is not None

    def give_way(self) -> None:
        """End it; over TLS without a word, because a silent caller would delay the goodbye."""
        if self.scheme == "https":
            self.transport.abort()
        else:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        everybody = cast("set[Connection]", self.connections)
        if self.door is not None:
            everybody.discard(self.door)
            self.certificate_names = names_in(transport.get_extra_info("peercert"))
        self.peer = self.client[0] if self.client else ""
        now = monotonic()
        self.since = self.since or now
        if has_room(self, everybody):
            self._begin(self.since + HEAD_WITHIN_S - now)
        else:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)

    @override
    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            self._begin(HEAD_WITHIN_S)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self.certificate_names:
            cast("dict[str, object]", self.scope)[CERTIFICATE_NAMES] = self.certificate_names

    @override
    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop()
        self.since = monotonic()
        super().on_headers_complete()

    @override
    def on_message_complete(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()

    @override
    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.since = monotonic()
        if self.transport.is_closing():
            self._await_reading()

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reading()

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_reading()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._stop_reading()
        super().connection_lost(exc)

    def _begin(self, within_s: float) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(within_s, self._too_late)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._timer = None
        self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _await_reading(self) -> None:
        if self._reading is None:
            self.since = monotonic()
            self._reading = self.loop.call_later(READ_WITHIN_S, self.transport.abort)

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _refuse(self, status: HTTPStatus) -> None:
        if self.transport.is_closing():
            return
        # Nothing may be written into the answer to the request before.
        if self.cycle is None or self.cycle.response_complete:
            lines = [f"HTTP/1.1 {status.value} {status.phrase}", "content-length: 0"]
            lines += [f"retry-after: {RETRY_AFTER_S}", "connection: close", "", ""]
            self.transport.write("\r\n".join(lines).encode())
        self.transport.close()
        self._await_reading()
