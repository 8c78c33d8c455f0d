"""Callers that nobody knows yet take bounded connections, header bytes and time."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from threading import Event

import httpx
import pytest

from engine.app import connections
from engine.app.connections import (
    HEAD_WITHIN_S,
    MAX_CONNECTIONS,
    MAX_HEAD_BYTES,
    has_room,
    names_in,
)
from tests.doubles.gateway import MemoryIntake, gateway_parts
from tests.doubles.production_server import DEADLINE_S, connected, serving, whole
from tests.services.process import wait_until

HEALTH = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n"
ALERTS = b"POST /api/v2/alerts HTTP/1.1\r\nhost: localhost\r\n"
# What an on-call team notices; a hundredth of the senders' own patience.
P99_S = 0.5


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for three connections."""
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds of time that a test reaches soon."""
    monkeypatch.setattr(connections, "HEAD_WITHIN_S", 0.3)
    monkeypatch.setattr(connections, "READ_WITHIN_S", 0.3)


@pytest.fixture
def port(soon: None) -> Iterator[int]:
    with serving(gateway_parts()) as (port, _):
        yield port


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


def test_one_connection_too_many_takes_the_place_of_the_one_that_is_silent_longest(
    crowded: None,
) -> None:
    with serving(gateway_parts()) as (port, _), ExitStack() as callers:
        silent = [callers.enter_context(connected(port)) for _ in range(3)]
        for caller in silent:
            caller.sendall(HEALTH + b"\r\n")
            assert answered(caller) == b"HTTP/1.1 200 OK"
        silent[0].sendall(HEALTH + b"\r\n")
        assert answered(silent[0]) == b"HTTP/1.1 200 OK"
        newest = callers.enter_context(connected(port))
        newest.sendall(HEALTH + b"\r\n")
        assert answered(newest) == b"HTTP/1.1 200 OK"
        refusal = whole(silent[1])
        assert refusal.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 5\r\n" in refusal


def test_where_nobody_is_silent_one_too_many_is_told_to_come_back(crowded: None) -> None:
    asked: list[None] = []
    released = Event()

    async def slowly() -> list[str]:
        asked.append(None)
        while not released.is_set():
            await asyncio.sleep(0.01)
        return []

    with serving(replace(gateway_parts(), ready=slowly)) as (port, _), ExitStack() as callers:
        for _ in range(3):
            caller = callers.enter_context(connected(port))
            caller.sendall(HEALTH.replace(b"healthz", b"readyz") + b"\r\n")
        wait_until(lambda: len(asked) == 3, "all are being answered")
        assert whole(callers.enter_context(connected(port))).startswith(b"HTTP/1.1 503 ")
        released.set()


def test_who_does_not_read_the_answers_is_not_waited_for(soon: None) -> None:
    page = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with serving(gateway_parts()) as (port, server), connected(port) as caller:
        caller.sendall(page * 200)
        wait_until(lambda: bool(server.server_state.total_requests), "it is answered")
        wait_until(lambda: not server.server_state.connections, "the connection ends")
        assert server.server_state.total_requests < 200


@dataclass(eq=False)
class Waiter:
    """A connection as far as room is concerned."""

    peer: str
    since: float
    waits: bool = True
    is_closing: bool = False
    gave_way: bool = False

    def give_way(self) -> None:
        self.gave_way = True


def test_of_the_callers_the_one_with_most_connections_makes_room(crowded: None) -> None:
    crowd = [Waiter("203.0.113.9", since) for since in (7, 5, 6)]
    crowd[1].waits = False
    one = Waiter("192.0.2.1", 1)
    newcomer = Waiter("192.0.2.2", 9)
    assert has_room(newcomer, [one, *crowd, newcomer])
    assert [each.gave_way for each in (one, *crowd, newcomer)] == [False, False, False, True, False]


def test_a_newcomer_alone_does_not_make_room_for_itself(crowded: None) -> None:
    busy = [Waiter("192.0.2.1", 1, waits=False) for _ in range(3)]
    newcomer = Waiter("192.0.2.2", 9)
    assert not has_room(newcomer, [*busy, newcomer])
    assert not newcomer.gave_way


def test_all_kinds_of_names_in_a_certificate_count_once() -> None:
    certificate = {
        "subject": ((("countryName", "DE"),), (("commonName", "am"),)),
        "subjectAltName": (
            ("DNS", "am"),
            ("URI", "spiffe://x/am"),
            ("email", "a@x.example"),
            ("IP Address", "10.0.0.1"),
            ("othername", "<unsupported>"),
        ),
    }
    assert names_in(certificate) == ("am", "spiffe://x/am", "a@x.example", "10.0.0.1")
    assert names_in(None) == ()


@pytest.mark.parametrize("slow", [500, 3 * MAX_CONNECTIONS], ids=["fit", "too many"])
def test_real_alerts_are_taken_within_half_a_second_beside_slow_callers(slow: int) -> None:
    """Half of them stop in their headers, the other half in their bodies."""
    parts = gateway_parts()
    with serving(parts) as (port, _), ExitStack() as callers:
        for number in range(slow):
            caller = callers.enter_context(connected(port))
            caller.sendall(ALERTS + (b"content-length: 99\r\n\r\n[" if number % 2 else b"x"))
        # Until it has taken the connections that wait before this one.
        asyncio.run(real_alerts(port, 1))
        took_s = asyncio.run(real_alerts(port, 200))
    assert sorted(took_s)[int(len(took_s) * 0.99)] < P99_S
    assert isinstance(parts.intake, MemoryIntake)
    assert len(parts.intake.alerts) == 201


async def real_alerts(port: int, count: int) -> list[float]:
    """How long each takes on a connection of its own, the worst case beside many others."""
    body, took_s = json.dumps([{"labels": {"alertname": "Real"}}]).encode(), []
    url = f"http://127.0.0.1:{port}/api/v2/alerts"
    for _ in range(count):
        async with httpx.AsyncClient(trust_env=False, verify=False) as http:
            began = time.perf_counter()
            response = await http.post(url, content=body)
            took_s.append(time.perf_counter() - began)
            assert response.status_code == 200
    return took_s


@pytest.mark.slow
def test_half_headers_and_half_bodies_are_closed_after_15_s() -> None:
    with serving(gateway_parts()) as (port, _), ExitStack() as callers:
        halves = (ALERTS, ALERTS + b"content-length: 99\r\n\r\n[")
        began = time.monotonic()
        slow = [callers.enter_context(connected(port)) for _ in range(500)]
        for number, caller in enumerate(slow):
            caller.sendall(halves[number % 2])
            caller.settimeout(3 * HEAD_WITHIN_S)
        assert {whole(caller)[:13] for caller in slow} == {b"HTTP/1.1 408 "}
        assert HEAD_WITHIN_S - 1 < time.monotonic() - began < HEAD_WITHIN_S + DEADLINE_S


def served(port: int) -> bool:
    with connected(port) as caller:
        caller.sendall(HEALTH + b"connection: close\r\n\r\n")
        return whole(caller).startswith(b"HTTP/1.1 200 ")
