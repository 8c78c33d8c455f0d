"""Body limits: sizes and deadlines on real sockets, the budget over all requests, gzip."""

import asyncio
import gzip
import socket
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from engine.errors import PayloadError
from engine.gateway.body import LINGER_S, BodyReader, Incoming, Refused, answer, gunzip
from engine.gateway.problems import problem
from tests.doubles.gateway import served_app

LIMIT = 256 * 1024
DEADLINE_S = 0.5
GIVE_UP_S = 10.0


def echo_length(reader: BodyReader) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """An application that answers with its body's length, or refuses."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        incoming = Incoming(receive)
        async with reader.read(incoming, headers, LIMIT) as body:
            if isinstance(body, Refused):
                response = problem(body.status, body.detail)
            else:
                response = problem(200, str(len(body)))
            await answer(response, incoming, scope, send)

    return app


def talk(port: int, *parts: bytes) -> bytes:
    """Send the parts, then read until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=GIVE_UP_S) as connection:
        for part in parts:
            connection.sendall(part)
        found = b""
        while got := connection.recv(65536):
            found += got
        return found


def head(*lines: str) -> bytes:
    return "\r\n".join(["POST / HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.fixture(scope="module")
def port() -> object:
    with served_app(echo_length(BodyReader(DEADLINE_S, 64 * LIMIT))) as port:
        yield port


def test_a_body_of_exactly_the_limit_is_read_and_the_connection_stays_open(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        for _ in range(2):
            response = http.post("/", content=b"x" * LIMIT)
            assert response.json()["detail"] == str(LIMIT)
            assert "connection" not in response.headers


def test_an_announced_size_over_the_limit_is_refused_before_any_of_it_is_sent(port: int) -> None:
    for size in (LIMIT + 1, 10**15):
        reply = talk(port, head(f"Content-Length: {size}"))
        assert reply.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in reply


def test_expect_continue_is_answered_with_the_refusal_alone(port: int) -> None:
    reply = talk(port, head(f"Content-Length: {LIMIT + 1}", "Expect: 100-continue"))
    assert reply.startswith(b"HTTP/1.1 413 ")


def test_a_chunked_body_is_refused_at_most_64_kib_past_the_limit(port: int) -> None:
    # The sender stops there and waits: an answer means that no more was needed.
    piece = chunk(b"x" * 1024)
    past = piece * (LIMIT // 1024 + 64)
    assert talk(port, head("Transfer-Encoding: chunked"), past).startswith(b"HTTP/1.1 413 ")


def test_a_sender_that_reads_only_after_50_mib_still_sees_the_refusal(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        assert http.post("/", content=b"x" * (50 << 20)).status_code == 413
        pieces = (b"x" * 65536 for _ in range(800))
        assert http.post("/", content=pieces).status_code == 413


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(head("Content-Length: 100") + b"x", id="half a body"),
        pytest.param(head("Content-Length: 100"), id="no body"),
        pytest.param(head("Transfer-Encoding: chunked") + chunk(b"x"), id="an endless chunk"),
    ],
)
def test_a_body_that_does_not_come_is_answered_and_closed_at_the_deadline(
    port: int, start: bytes
) -> None:
    began = time.monotonic()
    reply = talk(port, start)
    assert reply.startswith(b"HTTP/1.1 408 ")
    # Well before a lingering close, which is for senders that were refused, would end.
    assert DEADLINE_S * 0.9 <= time.monotonic() - began < DEADLINE_S + 0.9 * LINGER_S


def test_a_body_that_drips_meets_the_same_deadline(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=GIVE_UP_S) as connection:
        connection.sendall(head("Content-Length: 100000"))
        connection.settimeout(0.02)
        reply = b""
        end = time.monotonic() + GIVE_UP_S
        while not reply and time.monotonic() < end:
            connection.sendall(b"x")
            try:
                reply = connection.recv(65536)
            except TimeoutError:
                continue
        assert reply.startswith(b"HTTP/1.1 408 ")


def messages(*parts: bytes, then: Message | None = None) -> Receive:
    """A receive that gives the parts, then `then` for ever; without it the last part is the end."""
    pending: list[Message] = [
        {"type": "http.request", "body": part, "more_body": then is not None or place < len(parts)}
        for place, part in enumerate(parts, 1)
    ]

    async def receive() -> Message:
        if pending:
            return pending.pop(0)
        assert then is not None, "asked for more than there is"
        return then

    return receive


async def test_a_sender_that_went_away_sent_no_body() -> None:
    incoming = Incoming(messages(b"{}", then={"type": "http.disconnect"}))
    async with BodyReader(5, LIMIT).read(incoming, {}, LIMIT) as body:
        assert isinstance(body, Refused)
    assert incoming.is_gone


async def test_bodies_share_one_budget_and_give_it_back() -> None:
    reader = BodyReader(5, 100)
    async with AsyncExitStack() as held:
        first = reader.read(Incoming(messages(b"x" * 60)), {}, LIMIT)
        assert await held.enter_async_context(first) == b"x" * 60
        async with reader.read(Incoming(messages(b"x" * 60)), {}, LIMIT) as second:
            assert isinstance(second, Refused)
            assert second.status == 503
        async with reader.read(Incoming(messages(b"x" * 40)), {}, LIMIT) as third:
            assert third == b"x" * 40
    async with reader.read(Incoming(messages(b"x" * 100)), {}, LIMIT) as fourth:
        assert fourth == b"x" * 100


async def test_a_cancelled_reader_gives_its_budget_back() -> None:
    reader = BodyReader(5, 100)
    waiting = asyncio.Event()
    parts = iter([b"x" * 60])

    async def receive() -> Message:
        if (part := next(parts, None)) is not None:
            return {"type": "http.request", "body": part, "more_body": True}
        waiting.set()
        await asyncio.Event().wait()
        raise AssertionError("nothing ever comes")

    async def read() -> None:
        async with reader.read(Incoming(receive), {}, LIMIT):
            pass

    reading = asyncio.ensure_future(read())
    await waiting.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    async with reader.read(Incoming(messages(b"x" * 100)), {}, LIMIT) as body:
        assert body == b"x" * 100


async def test_a_body_already_read_is_replayed_once_and_then_the_connection_speaks() -> None:
    gone: Message = {"type": "http.disconnect"}
    receive = Incoming(messages(then=gone)).replay(b"{}")
    assert await receive() == {"type": "http.request", "body": b"{}", "more_body": False}
    assert await receive() == gone


def test_gzip_is_decompressed_up_to_the_limit() -> None:
    assert gunzip(gzip.compress(b"x" * LIMIT), LIMIT) == b"x" * LIMIT
    over = gunzip(gzip.compress(b"x" * (LIMIT + 1)), LIMIT)
    assert isinstance(over, Refused)
    assert over.status == 413


def test_a_gzip_bomb_takes_no_more_memory_than_the_limit() -> None:
    bomb = gzip.compress(b"x" * (100 << 20))
    tracemalloc.start()
    try:
        assert isinstance(gunzip(bomb, LIMIT), Refused)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * LIMIT + len(bomb)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"{}", id="not gzip"),
        pytest.param(b"", id="empty"),
        pytest.param(gzip.compress(b"x" * 1000)[:-9], id="cut off"),
        pytest.param(gzip.compress(b"{}") + gzip.compress(b""), id="two members"),
        pytest.param(gzip.compress(b"{}")[:-8] + b"\0" * 8, id="wrong checksum"),
    ],
)
def test_broken_gzip_is_a_payload_error(raw: bytes) -> None:
    with pytest.raises(PayloadError, match="not gzip"):
        gunzip(raw, LIMIT)
