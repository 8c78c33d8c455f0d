"""Connections to hosts: verified, kept open, bounded, and blind to this machine's own SSH settings.

Whatever goes wrong here went wrong before a command was sent.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.errors import PermanentError, QuellError, TransientError
from engine.ports.known_secrets import HOLDS_SECRET, KNOWN

if TYPE_CHECKING:
    import asyncssh

# Beyond this many idle connections the one that was idle longest is closed: each holds a socket
# here and a process on its host.
MAX_IDLE_CONNECTIONS = 64
CLOSE_DEADLINE_S = 2.0

UserName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9._-]{0,63}$")]


class SshConfig(BaseModel):
    """A connection of kind `ssh`; it reaches all hosts that name it in the inventory.

    `known_hosts` may hold @cert-authority lines. Keys come from a file or from an agent's socket,
    never from this user's home. `bastion` is `[user@]host[:port]`, verified the same way.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "example": {"user": "quell", "known_hosts": "known_hosts", "client_key": "quell_key"}
        },
    )

    uses: Literal["ssh"] = "ssh"
    user: UserName
    known_hosts: Path
    client_key: Annotated[Path | None, HOLDS_SECRET] = None
    agent_socket: Path | None = None
    bastion: Annotated[str, Field(pattern=r"^([A-Za-z_][\w.-]*@)?[^@\s/]+$|^$")] = ""
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    connect_timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    keepalive_s: Annotated[float, Field(gt=0)] = 15.0
    # sshd's own MaxSessions is 10; the rest is left to people.
    max_sessions: Annotated[int, Field(ge=1, le=100)] = 4
    sudo_timeouts: bool = False

    @model_validator(mode="after")
    def _has_a_key(self) -> "SshConfig":
        if self.client_key is None and self.agent_socket is None:
            raise ValueError("name a `client_key` file or an `agent_socket`")
        return self


@dataclass(frozen=True, slots=True)
class Route:
    """The way to one machine, as it stands in the plan."""

    connection: str
    user: str
    bastion: str
    address: str
    port: int

    def to_bastion(self) -> "Route":
        """The way to the bastion of this way."""
        user, _, place = self.bastion.rpartition("@")
        if place.startswith("["):
            host, _, port = place[1:].partition("]")
        elif place.count(":") == 1:
            host, _, port = place.partition(":")
        else:  # no port; more colons are a bare IPv6 address
            host, port = place, ""
        port = port.removeprefix(":") or "22"
        return Route(self.connection, user or self.user, "", host, int(port))


@dataclass(slots=True)
class _Open:
    """An open connection; a retired one is lent to nobody again and closed after its last use."""

    connection: "asyncssh.SSHClientConnection"
    leases: int = 0
    retired: bool = False


@dataclass(slots=True)
class _Machine:
    """What is known of one machine: its connection, and how many may use it at once."""

    sessions: asyncio.Semaphore
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    current: _Open | None = None
    is_bastion: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """A connection lent for one command; `reused` says that it was open before."""

    connection: "asyncssh.SSHClientConnection"
    reused: bool
    _open: _Open

    def retire(self) -> None:
        """Lend it to nobody again; commands that still run over it go on."""
        self._open.retired = True


class SshConnections:
    """All connections, by their names in the inventory."""

    def __init__(self, configs: Mapping[str, SshConfig]) -> None:
        self.configs = configs
        self._machines: dict[Route, _Machine] = {}

    @asynccontextmanager
    async def lease(self, route: Route) -> AsyncIterator[Lease]:
        """One of the sessions to a machine, after waiting for a free one.

        Raises PermanentError for a refused key or an unverified host, else TransientError.
        """
        machine = self._machine(route)
        async with machine.sessions:
            lent, reused = await self._connected(route, machine)
            lent.leases += 1
            try:
                yield Lease(lent.connection, reused, lent)
            finally:
                lent.leases -= 1
                if lent.retired and not lent.leases:
                    lent.connection.close()
                # The last used stands last, so that the first is the one to close.
                self._machines[route] = self._machines.pop(route, machine)
                self._close_idle()

    async def close(self) -> None:
        """Close every connection."""
        machines, self._machines = self._machines, {}
        # Bastions last: the others run through them.
        for machine in sorted(machines.values(), key=lambda each: each.is_bastion):
            if machine.current is not None:
                await _closed(machine.current.connection)

    def _machine(self, route: Route) -> _Machine:
        config = self.configs.get(route.connection)
        if config is None:
            raise PermanentError(f"there is no SSH connection {route.connection!r} any more")
        if route not in self._machines:
            self._machines[route] = _Machine(asyncio.Semaphore(config.max_sessions))
        return self._machines[route]

    async def _connected(self, route: Route, machine: _Machine) -> tuple[_Open, bool]:
        async with machine.lock:
            current = machine.current
            if current and not current.retired and not current.connection.is_closed():
                return current, True
            tunnel = None
            if route.bastion:
                bastion = self._machine(route.to_bastion())
                bastion.is_bastion = True
                tunnel = (await self._connected(route.to_bastion(), bastion))[0].connection
            config = self.configs[route.connection]
            machine.current = _Open(await _connect(route, config, tunnel))
            return machine.current, False

    def _close_idle(self) -> None:
        idle = [
            machine
            for machine in self._machines.values()
            if machine.current and not machine.current.leases and not machine.is_bastion
        ]
        for machine in idle[: max(0, len(idle) - MAX_IDLE_CONNECTIONS)]:
            if machine.current is not None:
                machine.current.connection.close()
                machine.current = None


async def _connect(
    route: Route, config: SshConfig, tunnel: "asyncssh.SSHClientConnection | None"
) -> "asyncssh.SSHClientConnection":
    await asyncio.to_thread(import_module, "asyncssh")  # takes half a second the first time
    import asyncssh

    known_hosts = _read(config.known_hosts, "known_hosts")
    try:
        async with AsyncExitStack() as stack, asyncio.timeout(config.connect_timeout_s):
            keys: list[asyncssh.SSHKeyPair] = []
            if config.client_key is not None:
                _read(config.client_key, "client_key")
                # It may have been renewed since it was declared.
                KNOWN.keep_file(f"connections.{route.connection}.client_key", config.client_key)
                keys += asyncssh.load_keypairs(str(config.client_key))
            if config.agent_socket is not None:
                agent = await stack.enter_async_context(
                    asyncssh.connect_agent(str(config.agent_socket))
                )
                keys += await agent.get_keys()
            if not keys:  # an empty list would make asyncssh look into this user's home
                raise PermanentError(f"SSH connection {route.connection!r} has no key to offer")
            return await asyncssh.connect(
                route.address,
                route.port,
                tunnel=tunnel,
                config=None,
                known_hosts=known_hosts,
                username=route.user,
                client_keys=keys,
                agent_path=None,
                x509_trusted_certs=None,
                preferred_auth="publickey",
                gss_kex=False,
                gss_auth=False,
                host_based_auth=False,
                kbdint_auth=False,
                password_auth=False,
                keepalive_interval=config.keepalive_s,
                keepalive_count_max=2,
            )
    except asyncssh.HostKeyNotVerifiable as error:
        raise PermanentError(
            f"{route.user}@{route.address}:{route.port}: {_unverified(route, known_hosts)} "
            f"({error}); nothing was sent"
        ) from error
    except (asyncssh.Error, OSError, ValueError) as error:
        raise classified(error, f"{route.user}@{route.address}:{route.port}") from error


def _unverified(route: Route, known_hosts: bytes) -> str:
    """What is wrong with a host's key, for who decides at night whether to believe it."""
    import asyncssh

    trusted, authorities, *_ = asyncssh.match_known_hosts(
        known_hosts, route.address, "", route.port
    )
    if not (trusted or authorities):
        return "the host's key is not in known_hosts"
    return (
        "the host shows another key than known_hosts has for it: it was made anew, or something "
        "else answers there; compare its fingerprint on the host before the file is changed"
    )


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PermanentError(f"{what} {str(path)!r} can't be read: {error.strerror}") from error


def classified(error: Exception, where: str) -> QuellError:
    """What an error before the command was sent means: mend something first, or try again."""
    import asyncssh

    match error:
        case asyncssh.PermissionDenied():
            return PermanentError(f"{where}: the key was refused ({error})")
        case (
            asyncssh.HostKeyNotVerifiable()
            | asyncssh.KeyExchangeFailed()
            | asyncssh.ProtocolNotSupported()
            | asyncssh.IllegalUserName()
        ):
            return PermanentError(f"{where}: {error}")
        case asyncssh.ChannelOpenError() if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
            return PermanentError(f"{where}: the bastion or host forbids it ({error})")
        case socket.gaierror() if error.errno != socket.EAI_AGAIN:
            return PermanentError(f"{where}: no such host ({error.strerror})")
        case TimeoutError():
            return TransientError(f"{where}: no answer in time")
        case asyncssh.Error() | OSError():
            return TransientError(f"{where}: {error}")
        case _:
            return PermanentError(f"{where}: {error}")


async def _closed(connection: "asyncssh.SSHClientConnection") -> None:
    connection.close()
    try:
        async with asyncio.timeout(CLOSE_DEADLINE_S):
            await connection.wait_closed()
    except TimeoutError:
        connection.abort()
