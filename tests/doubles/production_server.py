"""The gateway behind a real socket as the engine serves it, and callers that speak bytes."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Thread

from engine.app.process import Server, http_server, listen_on
from engine.app.tls import Tls
from engine.gateway.app import build_gateway
from engine.gateway.parts import GatewayParts
from tests.services.process import wait_until

DEADLINE_S = 10.0


@contextmanager
def serving(parts: GatewayParts, tls: Tls | None = None) -> Iterator[tuple[int, Server]]:
    """On a free loopback port, in a thread of its own, with every bound of the engine's."""
    server = http_server(build_gateway(parts), tls)
    with listen_on("127.0.0.1:0") as listener:
        thread = Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
        thread.start()
        wait_until(lambda: server.started, "the server listens")
        yield listener.getsockname()[1], server
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
