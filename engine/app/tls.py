"""TLS of the listen address: its certificate, kept current, and handshakes within the bounds."""

import asyncio
import socket
import ssl
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, cast

import structlog
from cryptography import x509
from typing_extensions import override
from uvicorn.config import Config
from uvicorn.protocols.utils import get_remote_addr
from uvicorn.server import ServerState

from engine.app import connections
from engine.app.connections import BoundedHttp, Connection, has_room
from engine.errors import ConfigError
from engine.gateway.rates import Rates
from engine.ports.clock import Clock
from engine.ports.metrics import Metrics
from engine.settings import TlsSection

# A new certificate counts for connections from then on; those that are open stay so.
LOOK_EVERY_S = 10.0
# For the caller to say goodbye, too.
GOODBYE_WITHIN_S = 1.0
# Lines of the log about handshakes that failed: anybody can cause them.
TOLD_PER_S, TOLD_AT_ONCE = 0.2, 10

log = structlog.get_logger(__name__)

Stamps = tuple[tuple[int, ...], ...]


@dataclass(slots=True)
class Tls:
    """What handshakes use now; `watch` replaces it when a file has changed."""

    section: TlsSection
    context: ssl.SSLContext
    expires_s: float
    _stamps: Stamps
    _told: Rates = field(default_factory=lambda: Rates(TOLD_PER_S, TOLD_AT_ONCE))

    @classmethod
    def of(cls, section: TlsSection) -> "Tls":
        """Raises ConfigError with the file that can't be used."""
        stamps = _stamps(section)
        return cls(section, *_loaded(section), stamps)

    async def watch(self, clock: Clock, metrics: Metrics) -> None:
        """Use what the files hold when they change, until cancelled.

        Files that don't fit together, say because only one of them was renewed yet, change nothing.
        """
        metrics.certificate_expires.set(self.expires_s)
        while True:
            await clock.sleep(LOOK_EVERY_S)
            stamps = _stamps(self.section)
            if stamps == self._stamps:
                continue
            self._stamps = stamps
            try:
                self.context, self.expires_s = await asyncio.to_thread(_loaded, self.section)
            except ConfigError as error:
                log.error("tls_not_renewed", why=str(error))
            else:
                log.info("tls_renewed", certificate=str(self.section.certificate))
                metrics.certificate_expires.set(self.expires_s)

    def tell(self, peer: str, error: Exception, now_s: float) -> None:
        """Log why a handshake failed; whoever connects and says nothing is nobody's concern."""
        if not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError):
            return
        if not self._told.wait_s("", now_s):
            why = getattr(error, "verify_message", "") or error.reason or str(error)
            log.warning("tls_handshake_failed", peer=peer, why=why)


def _stamps(section: TlsSection) -> Stamps:
    """What tells that a file isn't the same; a file that isn't there has none."""
    found: list[tuple[int, ...]] = []
    for path in (section.certificate, section.key, section.client_ca):
        try:
            stat = path.stat() if path is not None else None
        except OSError:
            stat = None
        found.append(() if stat is None else (stat.st_mtime_ns, stat.st_ino, stat.st_size))
    return tuple(found)


def _loaded(section: TlsSection) -> tuple[ssl.SSLContext, float]:
    """The context, and when its certificate expires, in seconds since 1970."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    texts = {name: _text(name, path) for name, path in section if path is not None}
    try:
        leaf = x509.load_pem_x509_certificate(texts["certificate"])
    except ValueError:
        raise _wrong("certificate", section.certificate, "holds no certificate in PEM") from None
    try:
        # Without a passphrase OpenSSL would ask for one, where nobody sits.
        context.load_cert_chain(section.certificate, section.key, password=lambda: "")
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", "") or str(error)
        says = "isn't the key of this certificate, in PEM without a passphrase"
        raise _wrong("key", section.key, f"{says} ({reason})") from None
    if section.client_ca is not None:
        try:
            context.load_verify_locations(cafile=section.client_ca)
        except ssl.SSLError:
            what = "holds no certificate in PEM"
            raise _wrong("client_ca", section.client_ca, what) from None
        context.verify_mode = ssl.CERT_OPTIONAL
    return context, leaf.not_valid_after_utc.timestamp()


def _text(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _wrong(name, path, f"can't be read: {error.strerror}") from None


def _wrong(name: str, path: Path, problem: str) -> ConfigError:
    return ConfigError(f"tls.{name}: {str(path)!r} {problem}")


class TlsDoor(asyncio.Protocol):
    """A connection until its handshake is done; it counts among the others, and may give way.

    asyncio alone makes no protocol known before the handshake is done, so nothing could bound
    those that never are. Its transport is left at once, and the socket goes on to one with TLS.
    """

    waits = True

    def __init__(
        self,
        tls: Tls,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._tls = tls
        self._http = BoundedHttp(config, server_state, app_state, _loop)
        self._loop = self._http.loop
        self._state = server_state
        self._connections = cast("set[Connection]", server_state.connections)
        self._task: asyncio.Task[None] | None = None
        self.peer, self.since, self.is_closing = "", 0.0, False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        address = get_remote_addr(cast("asyncio.Transport", transport))
        self.peer, self.since = address[0] if address else "", monotonic()
        self._connections.add(self)
        if has_room(self, self._connections):
            accepted = transport.get_extra_info("socket").dup()
            # The server waits for these tasks as for those of requests, and cancels them at its
            # end.
            self._task = self._loop.create_task(self._greet(accepted))
            self._state.tasks.add(self._task)
            self._task.add_done_callback(partial(self._done, accepted))
        else:
            self._connections.discard(self)
        cast("asyncio.Transport", transport).abort()

    def give_way(self) -> None:
        """End it."""
        self.is_closing = True
        if self._task is not None:
            self._task.cancel()

    def shutdown(self) -> None:
        """As uvicorn asks of what is open when the server ends."""
        self.give_way()

    async def _greet(self, accepted: socket.socket) -> None:
        self._http.since, self._http.door = self.since, self
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._http,
                accepted,
                ssl=self._tls.context,
                ssl_handshake_timeout=connections.HEAD_WITHIN_S,
                ssl_shutdown_timeout=GOODBYE_WITHIN_S,
            )
        except OSError as error:
            self._tls.tell(self.peer, error, self._loop.time())
            accepted.close()

    def _done(self, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        self._state.tasks.discard(task)
        self._connections.discard(self)
        if task.cancelled():
            accepted.close()
