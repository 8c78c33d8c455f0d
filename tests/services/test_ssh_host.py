import json
import shlex
import urllib.request

import asyncssh
import pytest

from tests.services.model_server import model_server_argv
from tests.services.process import free_port, listens, wait_until
from tests.services.ssh_host import SshHost, Unit


async def on(host: SshHost, *argv: str) -> asyncssh.SSHCompletedProcess:
    async with asyncssh.connect(
        host.address,
        host.port,
        username=host.user,
        client_keys=[str(host.client_key)],
        known_hosts=str(host.known_hosts),
        config=None,
        agent_path=None,
    ) as connection:
        return await connection.run(shlex.join(argv))


@pytest.fixture
def model_port() -> int:
    return free_port()


@pytest.fixture
def model_unit(ssh_host: SshHost, model_port: int) -> Unit:
    name = f"model-{model_port}"
    argv = model_server_argv(model_port, "llama", ssh_host.starts_file(name))
    unit = ssh_host.add_unit(name, argv)
    wait_until(lambda: listens(model_port), "the model server listens")
    return unit


async def test_a_command_runs_and_the_host_keeps_what_it_was(ssh_host: SshHost) -> None:
    before = len(ssh_host.commands())
    done = await on(ssh_host, "printf", "%s", "a b\n'c'")
    assert (done.stdout, done.exit_status) == ("a b\n'c'", 0)
    (recorded,) = ssh_host.commands()[before:]
    assert recorded.command == shlex.join(["printf", "%s", "a b\n'c'"])
    assert "Accepted publickey for" in ssh_host.log.read_text()
    assert "Starting session: forced-command" in ssh_host.log.read_text()


async def test_an_exit_status_comes_back(ssh_host: SshHost) -> None:
    assert (await on(ssh_host, "sh", "-c", "exit 7")).exit_status == 7


async def test_a_client_with_another_key_is_refused(ssh_host: SshHost) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        await asyncssh.connect(
            ssh_host.address,
            ssh_host.port,
            username=ssh_host.user,
            client_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            known_hosts=str(ssh_host.known_hosts),
            config=None,
            agent_path=None,
        )


async def test_a_dead_unit_is_restarted_once_over_ssh(
    ssh_host: SshHost, model_unit: Unit, model_port: int
) -> None:
    show = ("systemctl", "show", model_unit.name, "--property=InvocationID")
    assert (await on(ssh_host, "systemctl", "is-active", model_unit.name)).stdout == "active\n"
    first = (await on(ssh_host, *show)).stdout
    assert str(first).startswith("InvocationID=")
    assert len(str(first)) > len("InvocationID=\n")

    model_unit.kill()
    wait_until(lambda: not listens(model_port), "the model server is gone")
    dead = await on(ssh_host, "systemctl", "is-active", model_unit.name)
    assert (dead.stdout, dead.exit_status) == ("failed\n", 3)

    done = await on(ssh_host, "sudo", "-n", "systemctl", "restart", f"{model_unit.name}.service")
    assert done.exit_status == 0, done.stderr
    wait_until(lambda: listens(model_port), "the model server listens again")
    assert model_unit.starts() == 2
    assert (await on(ssh_host, *show)).stdout != first


async def test_an_unknown_unit_is_refused_as_systemctl_does(ssh_host: SshHost) -> None:
    done = await on(ssh_host, "systemctl", "restart", "nonesuch")
    assert (done.exit_status, done.stderr) == (5, "Unit nonesuch.service not found.\n")


async def test_a_program_of_the_test_stands_before_the_systems(ssh_host: SshHost) -> None:
    ssh_host.add_program("nvidia-smi", "#!/bin/sh\necho 'Used : 80 MiB'\n")
    assert (await on(ssh_host, "nvidia-smi", "-q")).stdout == "Used : 80 MiB\n"


def test_the_model_server_completes_and_dies_when_told(model_unit: Unit, model_port: int) -> None:
    url = f"http://127.0.0.1:{model_port}"
    body = json.dumps({"model": "llama", "prompt": "Are you there?"}).encode()
    with urllib.request.urlopen(f"{url}/v1/completions", body) as answer:
        assert json.load(answer)["choices"][0]["text"] == "I am here."
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        assert b'model_server_up{model="llama"} 1' in answer.read()
    with pytest.raises(ConnectionError):
        urllib.request.urlopen(f"{url}/die", b"")
    wait_until(lambda: not model_unit.running(), "the unit has ended")
    assert model_unit.starts() == 1
