"""Reads request bodies within a deadline, a size, and one budget of bytes over all requests."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from engine.errors import PayloadError

# After an early refusal, so that a sender in the middle of its body sees the answer and not a
# connection that was reset.
LINGER_S = 1.0
LINGER_BYTES = 1024 * 1024

_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Refused:
    """A body that isn't taken: the status to answer, and why."""

    status: int
    detail: str


class Incoming:
    """One request's body as it arrives; `is_complete` once nothing more will come."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.is_complete = False
        self.is_gone = False

    async def chunk(self) -> bytes:
        """The next part, as large as the server made it."""
        message = await self.receive()
        if message["type"] == "http.disconnect":
            self.is_complete = self.is_gone = True
            return b""
        self.is_complete = not message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part

    def replay(self, body: bytes) -> Receive:
        """A `receive` that gives the body, already read, to an application further in."""
        pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return pending.pop() if pending else await self.receive()

        return receive


class BodyReader:
    """Reads the bodies of one gateway."""

    def __init__(self, deadline_s: float, budget_bytes: int) -> None:
        self._deadline_s = deadline_s
        self._left = budget_bytes

    @asynccontextmanager
    async def read(
        self, incoming: Incoming, headers: Mapping[str, str], limit: int
    ) -> AsyncIterator[bytes | Refused]:
        """The whole body, or why not; its bytes count against the budget until the context ends."""
        body = bytearray()
        try:
            yield await self._fill(body, incoming, headers, limit) or bytes(body)
        finally:
            self._left += len(body)

    async def _fill(
        self, body: bytearray, incoming: Incoming, headers: Mapping[str, str], limit: int
    ) -> Refused | None:
        announced = headers.get("content-length", "")
        if announced.isdecimal() and (len(announced) > 15 or int(announced) > limit):
            return too_large(limit)
        try:
            async with asyncio.timeout(self._deadline_s):
                while not incoming.is_complete:
                    part = await incoming.chunk()
                    body += part
                    self._left -= len(part)
                    if len(body) > limit:
                        return too_large(limit)
                    if self._left < 0:
                        return Refused(
                            HTTPStatus.SERVICE_UNAVAILABLE,
                            "too many bodies are being read; send it again later",
                        )
        except TimeoutError:
            return Refused(
                HTTPStatus.REQUEST_TIMEOUT,
                f"the body was not complete within {self._deadline_s:g} s",
            )
        if incoming.is_gone:
            return Refused(HTTPStatus.BAD_REQUEST, "the body was not complete")
        return None


def too_large(limit: int) -> Refused:
    """Over the limit, which the sender is told."""
    return Refused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body is larger than {limit} bytes; send its alerts in several bodies",
    )


def gunzip(raw: bytes, limit: int) -> bytes | Refused:
    """The decompressed body, never more than `limit` of it in memory.

    One member only: thousands of empty ones would cost far more than they hold. Raises
    PayloadError when it isn't gzip.
    """
    stream = zlib.decompressobj(_GZIP)
    try:
        body = stream.decompress(raw, limit + 1)
    except zlib.error as error:
        raise PayloadError(f"not gzip: {error}") from error
    if len(body) > limit:
        return too_large(limit)
    if not stream.eof:
        raise PayloadError("not gzip: it ends too early")
    if stream.unused_data:
        raise PayloadError("not gzip: something follows its end")
    return body


async def answer(response: Response, incoming: Incoming, scope: Scope, send: Send) -> None:
    """Send a response; where the body hasn't been read, also end the connection."""
    if incoming.is_complete:
        await response(scope, incoming.receive, send)
        return
    response.headers["connection"] = "close"
    start = {"status": response.status_code, "headers": response.raw_headers}
    await send({"type": "http.response.start", **start})
    # The declared length is sent, so the sender has the whole answer now.
    await send({"type": "http.response.body", "body": bytes(response.body), "more_body": True})
    discarded = 0
    # A sender that was too slow has had its time.
    linger_s = 0.0 if response.status_code == HTTPStatus.REQUEST_TIMEOUT else LINGER_S
    try:
        async with asyncio.timeout(linger_s):
            while not incoming.is_complete and discarded < LINGER_BYTES:
                discarded += len(await incoming.chunk())
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b""})
