import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.services.relay import Relay, running_relay


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        yield listening


@contextmanager
def connected(relay: Relay) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", relay.port), timeout=10) as client:
        yield client


@contextmanager
def accepted(server: socket.socket) -> Iterator[socket.socket]:
    with server.accept()[0] as peer:
        peer.settimeout(10)
        yield peer


@contextmanager
def joined(server: socket.socket) -> Iterator[tuple[Relay, socket.socket, socket.socket]]:
    """A relay before the server, and both ends of a connection through it."""
    with (
        running_relay(server.getsockname()[1]) as relay,
        connected(relay) as client,
        accepted(server) as peer,
    ):
        yield relay, client, peer


def hears_nothing(one: socket.socket) -> bool:
    one.settimeout(0.3)
    try:
        one.recv(10)
    except TimeoutError:
        return True
    return False


def test_it_passes_bytes_and_ends_both_ways(server: socket.socket) -> None:
    with running_relay(server.getsockname()[1]) as relay, connected(relay) as client:
        with accepted(server) as peer:
            client.sendall(b"to")
            assert peer.recv(10) == b"to"
            peer.sendall(b"fro")
            assert client.recv(10) == b"fro"
        assert client.recv(10) == b""


def test_while_it_is_cut_nothing_passes_or_ends_and_afterwards_all_of_it_arrives(
    server: socket.socket,
) -> None:
    with joined(server) as (relay, client, peer):
        relay.cut()
        client.sendall(b"late")
        assert hears_nothing(peer)
        with connected(relay) as another:
            assert hears_nothing(another)
            relay.mend()
            peer.settimeout(10)
            assert peer.recv(10) == b"late"
            with accepted(server) as its_peer:
                its_peer.sendall(b"hello")
                another.settimeout(10)
                assert another.recv(10) == b"hello"


def test_mended_for_new_connections_the_old_ones_hear_nothing_for_ever(
    server: socket.socket,
) -> None:
    with joined(server) as (relay, client, peer):
        relay.cut()
        client.sendall(b"lost")
        relay.mend_for_new()
        with connected(relay) as another, accepted(server) as its_peer:
            another.sendall(b"new")
            assert its_peer.recv(10) == b"new"
        assert hears_nothing(peer)
        assert hears_nothing(client)
