"""A real sshd whose key has `command=`: what commands.yaml names passes, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from engine.core.authorized_commands import authorized_program
from engine.core.command_patterns import authorized_line
from engine.core.host_permissions import HostPermissions
from tests.connectors.actions.ssh.bench import COMMANDS, Bench
from tests.services.ssh_host import SshHost, running_ssh_host


@pytest.fixture
def guarded() -> Iterator[SshHost]:
    """Its account may run `echo`, `append` and the probe of that."""
    with running_ssh_host(records=False) as host:
        echo, append = COMMANDS["echo"], COMMANDS["append"]
        assert append.probe is not None
        lines = (
            authorized_line(argv, command, {}, sudo_timeouts=False)
            for argv, command in (
                (echo.argv, echo),
                (append.argv, append),
                (append.probe.argv, append),
            )
        )
        needed = HostPermissions("gpu-07", "", host.user, "", False, (), (), tuple(lines))
        program = host.folder / "quell-commands"
        program.write_text(authorized_program(needed))
        program.chmod(0o755)
        keys = host.folder / "authorized_keys"
        keys.write_text(f'restrict,command="{program}" {keys.read_text()}')
        yield host


async def test_named_commands_pass_and_others_are_refused_with_a_word(
    guarded: SshHost, tmp_path: Path
) -> None:
    bench, file = Bench(guarded), tmp_path / "a b"
    try:
        hostile = "x'; touch CANARY; $(touch CANARY)"
        assert (await bench.outputs("echo", text=hostile))["stdout"] == hostile
        assert (await bench.outputs("append", file=str(file)))["exit_code"] == 0
        assert file.read_text() == "more\n"
        call = bench.call("append", file=str(file))
        before = await bench.run.look(call)
        assert before["stdout"] == "more\n"

        refused = await bench.outputs("read-input")
        assert refused["exit_code"] == 126
        assert "this host doesn't permit: timeout -k 4 14 sh " in str(refused["stderr"])
    finally:
        await bench.run.close()


async def test_who_has_the_key_alone_gets_no_shell_and_no_file(guarded: SshHost) -> None:
    async with asyncssh.connect(
        "127.0.0.1",
        guarded.port,
        config=None,
        username=guarded.user,
        client_keys=[str(guarded.client_key)],
        known_hosts=str(guarded.known_hosts),
    ) as connection:
        for line in (None, "id", "timeout -k 10 49 printf %s x; id"):
            ended = await connection.run(line)
            assert (ended.exit_status, ended.stdout) == (126, ""), line
        with pytest.raises(asyncssh.Error):
            await connection.start_sftp_client()
