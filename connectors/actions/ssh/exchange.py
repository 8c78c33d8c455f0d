"""One command over an open connection: what it printed up to a limit, and how it ended."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from typing_extensions import override

if TYPE_CHECKING:
    import asyncssh

# A daemon that a command leaves behind may hold its output open; nobody waits for that one.
LINGER_S = 1.0


@dataclass(slots=True)
class Ending:
    """How a command went so far; `begun` is set just before it is sent."""

    limit_bytes: int
    begun: bool = False
    exit_code: int | None = None
    signal: str = ""
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    dropped_bytes: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def known(self) -> bool:
        """Whether the host said how the command ended."""
        return self.exit_code is not None or bool(self.signal)

    def take(self, data: bytes, *, is_stderr: bool) -> None:
        """Keep output up to the limit of its stream, and count the rest."""
        kept = self.stderr if is_stderr else self.stdout
        room = self.limit_bytes - len(kept)
        kept += data[:room]
        self.dropped_bytes += max(0, len(data) - room)


async def exchange(
    connection: "asyncssh.SSHClientConnection", line: str, ending: Ending, open_timeout_s: float
) -> None:
    """Have the host's shell run `line` with a closed standard input; fill in `ending`.

    Returns when the command ended or the connection is gone: then `ending.known` is False. Raises
    asyncssh.Error, OSError or TimeoutError; `ending.begun` tells whether that was before the
    command was sent.
    """
    import asyncssh

    class Session(asyncssh.SSHClientSession[bytes]):
        @override
        def connection_made(self, chan: "asyncssh.SSHClientChannel[bytes]") -> None:
            ending.begun = True
            opening.reschedule(None)

        @override
        def data_received(self, data: bytes, datatype: int | None) -> None:
            ending.take(data, is_stderr=datatype == asyncssh.EXTENDED_DATA_STDERR)

        @override
        def exit_status_received(self, status: int) -> None:
            ending.exit_code = status
            ending.ended.set()

        @override
        def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
            ending.signal = signal
            ending.ended.set()

        @override
        def connection_lost(self, exc: Exception | None) -> None:
            ending.ended.set()
            ending.closed.set()

    async with asyncio.timeout(open_timeout_s) as opening:
        channel, _ = await connection.create_session(
            Session, line, encoding=None, env=None, send_env=None, request_pty=False
        )
    try:
        channel.write_eof()
        await ending.ended.wait()
        async with asyncio.timeout(LINGER_S):
            await ending.closed.wait()
    except TimeoutError:
        pass
    finally:
        channel.close()
