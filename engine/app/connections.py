"""What a caller may take before anybody knows who it is: connections, header bytes, and time."""

import asyncio
from asyncio.events import TimerHandle
from http import HTTPStatus

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Half of the files that a process may usually open: the others are for databases and hosts.
MAX_CONNECTIONS = 512
MAX_HEAD_BYTES = 64 * 1024
# From the connection, or the first byte of a later request, to the last byte of its headers.
HEAD_WITHIN_S = 15.0
RETRY_AFTER_S = 5


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's own protocol, which bounds none of these; past a bound the caller is told so."""

    _timer: TimerHandle | None = None
    # Whether the next bytes belong to a request whose headers aren't complete.
    _in_head = True
    _head_bytes = 0

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._begin()

    @override
    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            self._begin()
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    @override
    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop()
        super().on_headers_complete()

    @override
    def on_message_complete(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _begin(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_WITHIN_S, self._too_late)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._timer = None
        self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus) -> None:
        if self.transport.is_closing():
            return
        # Nothing may be written into the answer to the request before.
        if self.cycle is None or self.cycle.response_complete:
            lines = [f"HTTP/1.1 {status.value} {status.phrase}", "content-length: 0"]
            lines += [f"retry-after: {RETRY_AFTER_S}", "connection: close", "", ""]
            self.transport.write("\r\n".join(lines).encode())
        self.transport.close()
