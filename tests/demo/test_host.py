"""The demo's host over real SSH: who gets in, what runs, and what a restart does."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import httpx
import pytest

from engine.demo.host import reserved_port, write_programs
from engine.demo.hosting import ADDRESS, USER, Place


async def enter(place: Place, **changed: object) -> asyncssh.SSHClientConnection:
    options: dict[str, object] = {
        "username": USER,
        "client_keys": [str(place.folder / "client_key")],
        "known_hosts": str(place.folder / "known_hosts"),
        "config": None,
        "agent_path": None,
        "password": "demo",
    }
    port = place.ready.ssh_port
    return await asyncssh.connect(ADDRESS, port, **(options | changed))


@pytest.fixture
async def entered(place: Place) -> AsyncIterator[asyncssh.SSHClientConnection]:
    async with await enter(place) as connection:
        yield connection


async def invocation(entered: asyncssh.SSHClientConnection) -> str:
    done = await entered.run("systemctl show vllm --property=InvocationID", check=True)
    return str(done.stdout)


async def served(place: Place) -> None:
    """Return once the model server answers."""
    async with asyncio.timeout(20), httpx.AsyncClient(trust_env=False) as web:
        while True:
            try:
                (await web.get(f"{place.model_url}/health")).raise_for_status()
            except httpx.TransportError:
                await asyncio.sleep(0.02)
            else:
                return


@pytest.mark.parametrize(
    ("command", "ended"),
    [
        ("printf '%s|' a 'b c' \"$USER\"", ("a|b c|quell|", "", 0)),
        ("echo no >&2; exit 7", ("", "no\n", 7)),
        ("timeout -k 1 5 sh -c 'exit 3'", ("", "", 3)),
        ("cat; echo end of input", ("end of input\n", "", 0)),
        ("command -v systemctl >/dev/null && pwd -P >/dev/null; echo $?", ("0\n", "", 0)),
    ],
    ids=["arguments", "failure", "bounded", "no input", "shims"],
)
async def test_a_command_runs_as_a_real_process(
    entered: asyncssh.SSHClientConnection, command: str, ended: tuple[str, str, int]
) -> None:
    done = await entered.run(command)
    assert (done.stdout, done.stderr, done.exit_status) == ended


async def test_a_command_that_was_killed_says_so(entered: asyncssh.SSHClientConnection) -> None:
    done = await entered.run("kill -9 $$")
    assert done.exit_signal is not None
    assert done.exit_signal[0] == "KILL"


async def test_large_output_comes_whole(entered: asyncssh.SSHClientConnection) -> None:
    done = await entered.run("head -c 300000 /dev/zero | tr '\\0' x")
    assert len(str(done.stdout)) == 300_000


async def test_what_this_process_inherited_is_not_passed_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.demo.hosting import running_host

    monkeypatch.setenv("QUELL_TOKEN", "secret")
    async with running_host(folder / "host") as place, await enter(place) as entered:
        assert "secret" not in str((await entered.run("env")).stdout)


async def test_the_programs_of_the_demo_come_first(
    place: Place, entered: asyncssh.SSHClientConnection
) -> None:
    found = await entered.run(
        "for each in systemctl sudo nvidia-smi journalctl; do command -v $each; done"
    )
    names = [Path(line).parent for line in str(found.stdout).splitlines()]
    assert names == [place.folder / "programs"] * 4


async def test_a_shell_to_log_in_to_is_refused(entered: asyncssh.SSHClientConnection) -> None:
    done = await entered.run()
    assert done.exit_status == 1
    assert "no shell" in str(done.stderr)


@pytest.mark.parametrize(
    "changed",
    [
        {"client_keys": [asyncssh.generate_private_key("ssh-ed25519")]},
        {"username": "root"},
        {"client_keys": []},
    ],
    ids=["another key", "another user", "a password only"],
)
async def test_nobody_else_gets_in(place: Place, changed: dict[str, object]) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        await enter(place, **changed)


async def test_another_hosts_key_is_noticed(place: Place) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    known = place.folder / "known_hosts"
    known.write_text(f"[{ADDRESS}]:{place.ready.ssh_port} {key}")
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        await enter(place)


async def test_a_restart_is_a_new_process_that_serves(
    place: Place, entered: asyncssh.SSHClientConnection
) -> None:
    await served(place)
    pid, before = await place.unit_pid(), await invocation(entered)
    done = await entered.run("timeout -k 10 30 sudo systemctl restart vllm")
    assert (done.exit_status, done.stderr) == (0, "")
    await served(place)
    assert await place.unit_pid() not in (pid, 0)
    assert await invocation(entered) != before
    (line,) = [line for line in place.ssh_log() if "systemctl restart" in line]
    assert line.endswith("exec timeout -k 10 30 sudo systemctl restart vllm")


async def test_keys_are_for_their_owner_alone(place: Place) -> None:
    assert (place.folder / "client_key").stat().st_mode & 0o777 == 0o600
    assert place.folder.stat().st_mode & 0o777 == 0o700


def test_a_reserved_port_refuses_and_can_be_taken_by_who_shares_it() -> None:
    with reserved_port() as port, socket.socket() as stranger, socket.socket() as server:
        assert stranger.connect_ex((ADDRESS, port)) != 0
        with socket.socket() as thief, pytest.raises(OSError, match="in use"):
            thief.bind((ADDRESS, port))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind((ADDRESS, port))
        server.listen()
        with socket.socket() as client:
            assert client.connect_ex((ADDRESS, port)) == 0


def test_timeout_is_played_only_where_the_system_has_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "with").mkdir()
    write_programs(folder / "with", folder)
    assert not (folder / "with" / "timeout").exists()
    monkeypatch.setattr("engine.demo.host.SYSTEM_PATH", str(folder))
    (folder / "without").mkdir()
    write_programs(folder / "without", folder)
    assert (folder / "without" / "timeout").exists()
