import shutil
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncssh
import pytest
from pydantic import ValidationError

from connectors.actions.ssh.connections import Route, SshConfig, SshConnections, classified
from connectors.actions.ssh.exchange import Ending, exchange
from engine.errors import PermanentError, TransientError
from tests.services.process import Process, free_port, program, run
from tests.services.ssh_host import SshHost, running_ssh_host

Connect = Callable[..., SshConnections]


@pytest.fixture
async def connect(ssh_host: SshHost) -> AsyncIterator[Connect]:
    """Connections with the host's own settings and some others."""
    started: list[SshConnections] = []

    def start(**settings: object) -> SshConnections:
        own = {
            "user": ssh_host.user,
            "known_hosts": ssh_host.known_hosts,
            "client_key": ssh_host.client_key,
        }
        started.append(SshConnections({"fra": SshConfig.model_validate(own | settings)}))
        return started[-1]

    yield start
    for connections in started:
        await connections.close()


def route(host: SshHost, bastion: str = "") -> Route:
    return Route("fra", host.user, bastion, host.address, host.port)


async def said(connections: SshConnections, way: Route, word: str) -> str:
    ending = Ending(1000)
    async with connections.lease(way) as lease:
        await exchange(lease.connection, f"echo {word}", ending, 5.0)
    return ending.stdout.decode()


async def test_a_verified_host_is_reached(connect: Connect, ssh_host: SshHost) -> None:
    assert await said(connect(), route(ssh_host), "here") == "here\n"


@pytest.mark.parametrize(
    ("known", "told"),
    [
        pytest.param("", "the host's key is not in known_hosts", id="nothing"),
        pytest.param("other.example", "the host's key is not in known_hosts", id="another host"),
        pytest.param("this", "another key than known_hosts has for it", id="another key"),
    ],
)
async def test_an_unverified_host_gets_nothing(
    connect: Connect, ssh_host: SshHost, tmp_path: Path, known: str, told: str
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    known_hosts = tmp_path / "known_hosts"
    line = known.replace("this", f"[{ssh_host.address}]:{ssh_host.port}")
    known_hosts.write_text(f"{line} {other}" if line else "")
    before = len(ssh_host.commands())
    with pytest.raises(PermanentError, match=told):
        await said(connect(known_hosts=known_hosts), route(ssh_host), "here")
    assert len(ssh_host.commands()) == before


async def test_a_refused_key_is_permanent(
    connect: Connect, ssh_host: SshHost, tmp_path: Path
) -> None:
    with pytest.raises(PermanentError, match="the key was refused"):
        await said(connect(client_key=new_key(tmp_path)), route(ssh_host), "here")


async def test_this_users_own_ssh_settings_have_no_say(
    connect: Connect, ssh_host: SshHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home" / ".ssh"
    home.mkdir(parents=True)
    shutil.copy(ssh_host.client_key, home / "id_ed25519")
    (home / "config").write_text("Host *\n  ProxyCommand false\n  User nobody\n  Port 1\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "no-agent"))
    assert await said(connect(), route(ssh_host), "here") == "here\n"
    with pytest.raises(PermanentError, match="the key was refused"):
        await said(connect(client_key=new_key(tmp_path)), route(ssh_host), "here")


@pytest.fixture
def agent(ssh_host: SshHost, tmp_path: Path) -> Iterator[Path]:
    socket_path = tmp_path / "agent"
    process = Process([program("ssh-agent"), "-D", "-a", socket_path], log=tmp_path / "agent.log")
    process.start(socket_path.exists)
    yield socket_path
    process.stop()


async def test_an_agent_is_asked_only_where_it_is_named(
    connect: Connect, ssh_host: SshHost, agent: Path
) -> None:
    connections = connect(client_key=None, agent_socket=agent)
    with pytest.raises(PermanentError, match="no key to offer"):
        await said(connections, route(ssh_host), "here")
    run(["env", f"SSH_AUTH_SOCK={agent}", program("ssh-add"), "-q", ssh_host.client_key])
    assert await said(connections, route(ssh_host), "here") == "here\n"


@pytest.mark.parametrize("what", ["known_hosts", "client_key"])
async def test_a_missing_file_is_named(
    connect: Connect, ssh_host: SshHost, tmp_path: Path, what: str
) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(PermanentError, match=f"{what} '{missing}' can't be read"):
        await said(connect(**{what: missing}), route(ssh_host), "here")


async def test_a_host_that_is_down_is_tried_again_later(
    connect: Connect, ssh_host: SshHost
) -> None:
    way = Route("fra", ssh_host.user, "", ssh_host.address, free_port())
    with pytest.raises(TransientError):
        await said(connect(), way, "here")


async def test_a_host_that_says_nothing_is_given_up(connect: Connect, ssh_host: SshHost) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        way = Route("fra", ssh_host.user, "", "127.0.0.1", listener.getsockname()[1])
        with pytest.raises(TransientError, match="no answer in time"):
            await said(connect(connect_timeout_s=0.2), way, "here")


async def test_a_host_behind_a_bastion(connect: Connect, ssh_host: SshHost, tmp_path: Path) -> None:
    with running_ssh_host() as bastion:
        keys = bastion.folder / "authorized_keys"
        keys.write_text(ssh_host.client_key.with_suffix(".pub").read_text())
        known_hosts = tmp_path / "known_hosts"
        known_hosts.write_text(ssh_host.known_hosts.read_text() + bastion.known_hosts.read_text())
        connections = connect(known_hosts=known_hosts)
        way = route(ssh_host, f"{bastion.user}@127.0.0.1:{bastion.port}")
        assert await said(connections, way, "one") == "one\n"
        assert await said(connections, way, "two") == "two\n"
        assert bastion.log.read_text().count("Accepted publickey") == 1
        assert not bastion.commands()

        # The bastion is verified like any host.
        unverified = connect()
        with pytest.raises(PermanentError, match="not in known_hosts"):
            await said(unverified, way, "three")
        await connections.close()


async def test_closing_twice_is_fine(connect: Connect, ssh_host: SshHost) -> None:
    connections = connect()
    await said(connections, route(ssh_host), "here")
    await connections.close()
    await connections.close()


@pytest.mark.parametrize(
    ("bastion", "expected"),
    [
        pytest.param("b.example", ("quell", "b.example", 22), id="host"),
        pytest.param("b.example:2222", ("quell", "b.example", 2222), id="host and port"),
        pytest.param("ops@b.example:2222", ("ops", "b.example", 2222), id="user"),
        pytest.param("[fd00::1]:2222", ("quell", "fd00::1", 2222), id="IPv6 and port"),
        pytest.param("[fd00::1]", ("quell", "fd00::1", 22), id="IPv6 in brackets"),
        pytest.param("fd00::1", ("quell", "fd00::1", 22), id="bare IPv6"),
    ],
)
def test_a_bastion_is_read(bastion: str, expected: tuple[str, str, int]) -> None:
    way = Route("fra", "quell", bastion, "gpu-07", 22).to_bastion()
    assert (way.user, way.address, way.port) == expected
    assert way.bastion == ""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(asyncssh.HostKeyNotVerifiable("x"), PermanentError, id="host key"),
        pytest.param(asyncssh.PermissionDenied("x"), PermanentError, id="auth"),
        pytest.param(asyncssh.KeyExchangeFailed("x"), PermanentError, id="no common algorithm"),
        pytest.param(asyncssh.ChannelOpenError(1, "x"), PermanentError, id="forwarding forbidden"),
        pytest.param(asyncssh.ChannelOpenError(2, "x"), TransientError, id="target refused"),
        pytest.param(asyncssh.ConnectionLost("x"), TransientError, id="lost"),
        pytest.param(ConnectionRefusedError(111, "x"), TransientError, id="refused"),
        pytest.param(TimeoutError(), TransientError, id="time-out"),
        pytest.param(socket.gaierror(socket.EAI_NONAME, "x"), PermanentError, id="no such host"),
        pytest.param(socket.gaierror(socket.EAI_AGAIN, "x"), TransientError, id="DNS is down"),
        pytest.param(ValueError("x"), PermanentError, id="unreadable key"),
    ],
)
def test_an_error_before_the_command_is_classified(error: Exception, kind: type[Exception]) -> None:
    found = classified(error, "quell@gpu-07:22")
    assert type(found) is kind
    assert str(found).startswith("quell@gpu-07:22: ")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"client_key": None}, "client_key", id="no key at all"),
        pytest.param({"known_hosts": None}, "known_hosts", id="no known_hosts"),
        pytest.param({"user": "-oProxyCommand=x"}, "user", id="user"),
        pytest.param({"password": "x"}, "password", id="unknown setting"),
    ],
)
def test_settings_are_checked(settings: dict[str, object], message: str) -> None:
    own = {"user": "quell", "known_hosts": "known_hosts", "client_key": "key"}
    with pytest.raises(ValidationError, match=message):
        SshConfig.model_validate(own | settings)


def new_key(folder: Path) -> Path:
    path = folder / "another_key"
    if not path.exists():
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(path)
    return path
