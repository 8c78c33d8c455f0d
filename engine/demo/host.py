"""The demo's host: real SSH with its own key, real commands, and the model server as its unit.

    python -m engine.demo.host --folder DIR

It leaves DIR/client_key and DIR/known_hosts for whoever may enter, prints one line of JSON when it
is ready, and ends with its standard input: nothing of it outlives the process that started it.
"""

import argparse
import asyncio
import logging
import os
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
from typing_extensions import override

from engine.demo import shims
from engine.demo.hosting import ADDRESS, UNIT, USER, Ready
from engine.demo.unit import Unit, supervised

# What sshd gives to its sessions, and where Homebrew puts programs.
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/opt/homebrew/bin"

log = logging.getLogger("demo-host")


@dataclass(slots=True)
class Host:
    """What the SSH sessions share: who may enter, and the commands under way."""

    folder: Path
    client_key: asyncssh.SSHKey
    running: set[int] = field(default_factory=set)

    def server(self) -> "Door":
        """A new connection's authentication."""
        return Door(self)

    async def execute(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        """Run the command that was sent, as a process of its own, and send back how it went."""
        if process.command is None:
            process.stderr.write(b"The demo's host runs commands and has no shell to log in to.\n")
            process.exit(1)
            return
        log.info("exec %s", process.command)
        child = await asyncio.create_subprocess_exec(
            "sh",
            "-c",
            process.command,
            cwd=self.folder,
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self.running.add(child.pid)
        try:
            stdout, stderr = await child.communicate()
        finally:
            self.running.discard(child.pid)
        process.stdout.write(stdout)
        process.stderr.write(stderr)
        if child.returncode is not None and child.returncode < 0:
            process.exit_with_signal(signal.Signals(-child.returncode).name.removeprefix("SIG"))
        else:
            process.exit(child.returncode or 0)

    def end_commands(self) -> None:
        """Kill what still runs, with all that it started."""
        for pid in self.running:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def _environment(self) -> dict[str, str]:
        # What this process inherited is nobody's business on a host.
        path = f"{self.folder / 'programs'}:{SYSTEM_PATH}"
        return {"PATH": path, "HOME": str(self.folder), "USER": USER, "LC_ALL": "C"}


class Door(asyncssh.SSHServer):
    """Lets one user in, with one key."""

    def __init__(self, host: Host) -> None:
        self._host = host

    @override
    def begin_auth(self, username: str) -> bool:
        return True

    @override
    def public_key_auth_supported(self) -> bool:
        return True

    @override
    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        wanted = self._host.client_key.public_data
        accepted = username == USER and key.public_data == wanted
        if not accepted:
            log.info("refused %s with %s", username, _fingerprint(key))
        return accepted

    @override
    def auth_completed(self) -> None:
        log.info("accepted %s", USER)


async def serve(folder: Path) -> None:
    """Be the host until the standard input ends."""
    programs = folder / "programs"
    programs.mkdir(parents=True)
    write_programs(programs, folder)
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    client_key = asyncssh.generate_private_key("ssh-ed25519", comment="quell demo")
    _write_private(folder / "client_key", client_key.export_private_key())
    host = Host(folder, client_key)
    with reserved_port() as model_port:
        unit = Unit(UNIT, model_server_argv(model_port), folder / f"{UNIT}.log")
        async with supervised(unit, folder / "supervisor.sock"):
            listening = await asyncssh.listen(
                ADDRESS,
                0,
                server_factory=host.server,
                server_host_keys=[host_key],
                process_factory=host.execute,
                encoding=None,
                allow_scp=False,
                agent_forwarding=False,
            )
            async with listening:
                port = listening.get_port()
                known = host_key.export_public_key().decode().strip()
                (folder / "known_hosts").write_text(f"[{ADDRESS}]:{port} {known}\n")
                ready = Ready(
                    ssh_port=port, model_port=model_port, fingerprint=_fingerprint(host_key)
                )
                sys.stdout.write(ready.model_dump_json() + "\n")
                sys.stdout.flush()
                await _end_of_input()
                host.end_commands()


def model_server_argv(port: int) -> list[str]:
    """The unit's command; -P, so that no file of the folder it runs in is taken for a module."""
    module = "engine.demo.model_server"
    return [sys.executable, "-P", "-m", module, "--port", str(port), "--end-with-input"]


def write_programs(programs: Path, folder: Path) -> None:
    """Put the shims where the sessions' PATH begins; `timeout` only where the system has none."""
    for name in shims.PROGRAMS:
        if name == "timeout" and shutil.which(name, path=SYSTEM_PATH):
            continue
        argv = [sys.executable, "-I", "-S", shims.__file__, name, str(folder)]
        path = programs / name
        path.write_text(f'#!/bin/sh\n# Of quell\'s demo.\nexec {shlex.join(argv)} "$@"\n')
        path.chmod(0o755)


@contextmanager
def reserved_port() -> Iterator[int]:
    """A free port that stays ours while nobody listens on it: bound, without listening.

    Who listens on it must set SO_REUSEPORT as well.
    """
    with socket.socket() as holding:
        holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holding.bind((ADDRESS, 0))
        yield int(holding.getsockname()[1])


async def _end_of_input() -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1024):
        pass


def _fingerprint(key: asyncssh.SSHKey) -> str:
    return key.get_fingerprint("sha256")


def _write_private(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def main(arguments: list[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m engine.demo.host", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="a new folder, for its files")
    folder = parser.parse_args(arguments).folder.resolve()
    folder.mkdir(mode=0o700, parents=True)
    logging.basicConfig(
        filename=folder / "sshd.log",
        format="%(asctime)s %(name)s %(message)s",
        level=logging.WARNING,
    )
    log.setLevel(logging.INFO)
    asyncio.run(serve(folder))


if __name__ == "__main__":
    main()
