import asyncio

import asyncssh
import pytest
from typing_extensions import override

from connectors.actions.ssh.exchange import Ending, exchange


@pytest.mark.parametrize("is_stderr", [False, True])
async def test_output_is_kept_up_to_the_limit_and_the_rest_counted(*, is_stderr: bool) -> None:
    ending = Ending(limit_bytes=5)
    for data in (b"abc", b"def", b"ghi"):
        ending.take(data, is_stderr=is_stderr)
    kept, other = (ending.stderr, ending.stdout) if is_stderr else (ending.stdout, ending.stderr)
    assert (bytes(kept), bytes(other), ending.dropped_bytes) == (b"abcde", b"", 4)


async def test_an_end_is_known_by_its_exit_code_or_signal() -> None:
    assert not Ending(1).known
    assert Ending(1, exit_code=0).known
    assert Ending(1, signal="KILL").known


async def test_an_exit_status_that_comes_after_the_end_of_output_counts() -> None:
    """As other servers than OpenSSH send it."""

    def answer(process: asyncssh.SSHServerProcess[str]) -> None:
        process.stdout.write("done")
        process.channel.write_eof()
        asyncio.get_running_loop().call_later(0.05, process.exit, 4)

    key = asyncssh.generate_private_key("ssh-ed25519")
    async with (
        asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[key],
            server_factory=OpenServer,
            process_factory=answer,
            config=[],
        ) as server,
        asyncssh.connect(
            "127.0.0.1",
            server.get_port(),
            known_hosts=None,
            config=None,
            agent_path=None,
            client_keys=None,
        ) as connection,
    ):
        ending = Ending(100)
        await exchange(connection, "anything", ending, 5.0)
    assert (bytes(ending.stdout), ending.exit_code) == (b"done", 4)


class OpenServer(asyncssh.SSHServer):
    @override
    def begin_auth(self, username: str) -> bool:
        return False
