"""Callers that nobody knows yet take bounded connections, header bytes and time."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from threading import Thread

import pytest

from engine.app import connections
from engine.app.connections import MAX_HEAD_BYTES
from engine.app.process import http_server, listen_on
from engine.gateway.app import build_gateway
from tests.doubles.gateway import gateway_parts
from tests.services.process import wait_until

HEALTH = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n"
DEADLINE_S = 10.0


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The gateway as the engine serves it, whose bounds a test reaches soon."""
    monkeypatch.setattr(connections, "HEAD_WITHIN_S", 0.3)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)
    server = http_server(build_gateway(gateway_parts()))
    with listen_on("127.0.0.1:0") as listener:
        thread = Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
        thread.start()
        wait_until(lambda: server.started, "the server listens")
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(DEADLINE_S)


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with closing(socket.create_connection(("127.0.0.1", port), DEADLINE_S)) as caller:
        yield caller


def whole(caller: socket.socket) -> bytes:
    """All that comes until the other side ends the connection."""
    found = b""
    while part := caller.recv(65536):
        found += part
    return found


def answered(caller: socket.socket) -> bytes:
    """The first line of an answer after which the connection stays open."""
    found = b""
    while b'{"status":"alive"}' not in found:
        part = caller.recv(65536)
        assert part, found
        found += part
    return found.partition(b"\r\n")[0]


@pytest.mark.parametrize(
    "sent", [b"", b"GET", HEALTH, b"\r\n"], ids=["nothing", "a word", "no end", "blank lines"]
)
def test_a_request_that_does_not_come_is_not_waited_for(port: int, sent: bytes) -> None:
    with connected(port) as caller:
        caller.sendall(sent)
        assert whole(caller).startswith(b"HTTP/1.1 408 ")


def test_a_later_request_has_the_same_time_as_the_first(port: int) -> None:
    with connected(port) as caller:
        for _ in range(2):
            caller.sendall(HEALTH + b"\r\n")
            assert answered(caller) == b"HTTP/1.1 200 OK"
        caller.sendall(b"\r\n")
        assert whole(caller).startswith(b"HTTP/1.1 408 ")


def test_headers_without_an_end_are_refused_at_their_bound(port: int) -> None:
    with connected(port) as caller:
        caller.sendall(HEALTH + b"x: " + b"y" * MAX_HEAD_BYTES)
        assert whole(caller).startswith(b"HTTP/1.1 431 ")


def test_headers_within_their_bound_and_a_body_of_any_size_pass(port: int) -> None:
    with connected(port) as caller:
        caller.sendall(HEALTH + b"x: " + b"y" * (MAX_HEAD_BYTES - 100) + b"\r\n\r\n")
        assert answered(caller) == b"HTTP/1.1 200 OK"
        body = b"[" + b" " * 4 * MAX_HEAD_BYTES + b"]"
        head = b"POST /api/v2/alerts HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
        caller.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        assert whole(caller).startswith(b"HTTP/1.1 200 ")


def test_one_connection_too_many_is_told_to_come_back(port: int) -> None:
    with ExitStack() as callers:
        for _ in range(3):
            caller = callers.enter_context(connected(port))
            caller.sendall(HEALTH + b"\r\n")
            assert answered(caller) == b"HTTP/1.1 200 OK"
        refusal = whole(callers.enter_context(connected(port)))
        assert refusal.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 5\r\n" in refusal
    wait_until(lambda: served(port), "connections that ended make room")


def served(port: int) -> bool:
    with connected(port) as caller:
        caller.sendall(HEALTH + b"connection: close\r\n\r\n")
        return whole(caller).startswith(b"HTTP/1.1 200 ")
