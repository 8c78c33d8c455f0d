"""A TCP relay in the test's process, which can stop passing bytes: a partition of one client."""

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.services.kafka import Additions, KafkaBroker, Listener
from tests.services.process import free_port

# What one side may be ahead of the other, as a network's own buffers.
CHUNK_BYTES = 65_536
LOOK_EVERY_S = 0.05


class Relay:
    """Between clients of `port` and a server; see `running_relay`.

    While it is cut nothing is passed, no connection ends, and new ones are taken and hear nothing:
    as when a network drops every packet. What the client sent meanwhile arrives late.
    """

    def __init__(self, to_port: int) -> None:
        self._to = ("127.0.0.1", to_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._passes = threading.Event()
        self._passes.set()
        self._forgets = threading.Event()
        self._ended = threading.Event()
        # Of both sides, by the one from which bytes come.
        self._other: dict[socket.socket, socket.socket] = {}
        self._forgotten: list[socket.socket] = []
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def cut(self) -> None:
        """Pass nothing any more."""
        self._passes.clear()

    def mend(self) -> None:
        """Pass what waits, and go on."""
        self._passes.set()

    def mend_for_new(self) -> None:
        """Pass what new connections bring; those of before stay open and hear nothing for ever.

        As after a firewall or an address that moved forgot them.
        """
        self._forgets.set()
        self._passes.set()

    def start(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._passes.set()
        self._thread.join()
        for each in (self._listener, *self._other, *self._forgotten):
            each.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            # The kernel takes connections and bytes meanwhile, and keeps them.
            self._passes.wait()
            if self._forgets.is_set():
                self._forgets.clear()
                self._forget()
            for key, _ in self._selector.select(LOOK_EVERY_S):
                if not self._passes.is_set() or self._forgets.is_set():
                    break
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._other:
                    self._pass_on(key.fileobj)

    def _forget(self) -> None:
        for each in self._other:
            self._selector.unregister(each)
        self._forgotten += self._other
        self._other.clear()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(self._to)
        except OSError:
            client.close()
            return
        for one, other in ((client, server), (server, client)):
            self._other[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, one: socket.socket) -> None:
        other = self._other[one]
        with suppress(OSError):
            if data := one.recv(CHUNK_BYTES):
                other.sendall(data)
                return
        for each in (one, other):
            self._selector.unregister(each)
            del self._other[each]
            each.close()


@contextmanager
def running_relay(to_port: int) -> Iterator[Relay]:
    """One that passes everything until it is cut."""
    relay = Relay(to_port)
    relay.start()
    try:
        yield relay
    finally:
        relay.stop()


@contextmanager
def running_relayed_kafka(folder: Path) -> Iterator[tuple[KafkaBroker, Relay]]:
    """A broker of its own; who asks it through the relay is told the relay's address."""
    port = free_port()
    with running_relay(port) as relay:
        listener = Listener(
            "RELAYED", "PLAINTEXT", f"127.0.0.1:{port}", advertised=f"127.0.0.1:{relay.port}"
        )
        broker = KafkaBroker(folder, Additions([listener]))
        broker.start()
        try:
            yield broker, relay
        finally:
            broker.kill()
