"""One host and the two SSH actions over it, for the tests beside this file."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import psutil

from connectors.actions.ssh import SshAction, SshConfig, ssh_actions
from engine.core.actions import Call, Estate
from engine.core.documents import CommandDocument, TargetDocument
from engine.core.json_value import Json
from tests.services.process import wait_until
from tests.services.ssh_host import SshHost

DEADLINE_S = 20.0
WRITE_AND_WAIT = 'echo $$ > "$1"; exec sleep 60'
IGNORE_TERM = 'trap "" TERM; echo $$ > "$1"; while :; do sleep 0.1; done'
ONE_AT_A_TIME = 'echo in >> "$1"; sleep 0.05; echo out >> "$1"'


def command(*argv: str, effect: str = "change", **more: object) -> CommandDocument:
    names = {word.split(".")[1].split(" ")[0] for word in argv if "${{ args." in word}
    document = {
        "argv": argv,
        "args": {name: {"type": "string"} for name in names},
        "effect": effect,
        "repeat": "harmless" if effect == "read" else "never",
    }
    return CommandDocument.model_validate(document | more)


COMMANDS = {
    "echo": command("printf", "%s", "${{ args.text }}", effect="read"),
    "end": command("sh", "-c", "echo out; echo err >&2; exit 3"),
    "wait": command("sh", "-c", WRITE_AND_WAIT, "x", "${{ args.file }}"),
    "look-and-wait": command("sh", "-c", WRITE_AND_WAIT, "x", "${{ args.file }}", effect="read"),
    "insist": command("sh", "-c", IGNORE_TERM, "x", "${{ args.file }}"),
    "in-turn": command("sh", "-c", ONE_AT_A_TIME, "x", "${{ args.file }}"),
    "flood": command("sh", "-c", "head -c 50000000 /dev/zero | tee /dev/stderr", effect="read"),
    "leave-a-daemon": command("sh", "-c", "sleep 5 & echo left", effect="read"),
    "read-input": command("sh", "-c", "cat; tty", effect="read"),
    "suicide": command("sh", "-c", "kill -KILL $PPID"),
    "missing": command("no-such-program"),
    "append": command(
        "sh",
        "-c",
        'echo more >> "$1"',
        "x",
        "${{ args.file }}",
        repeat="probe",
        probe={"argv": ["cat", "${{ args.file }}"], "done": "result.stdout != before.stdout"},
    ),
    "append-as-root": command(
        "sudo",
        "sh",
        "-c",
        'echo more >> "$1"',
        "x",
        "${{ args.file }}",
        repeat="probe",
        probe={"argv": ["cat", "${{ args.file }}"], "done": "result.stdout != before.stdout"},
    ),
    "wipe": command("rm", "${{ args.file }}", effect="destroy"),
}


class Relay:
    """Stands between client and sshd, and fails as a network does."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._writers: list[asyncio.StreamWriter] = []
        self._silent: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self._server.close()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Lose all connections."""
        for writer in self._writers:
            writer.transport.abort()

    def fall_silent(self) -> None:
        """Carry nothing more over the connections that are open now, and don't close them."""
        self._silent.update(self._writers)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers += [writer, to_writer]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pump(reader, to_writer))
            group.create_task(self._pump(to_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if writer not in self._silent:
                    writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()


class Bench:
    """The two actions over one configuration, and an estate with one host."""

    def __init__(self, host: SshHost, **config: object) -> None:
        settings = {
            "user": host.user,
            "known_hosts": host.known_hosts,
            "client_key": host.client_key,
            "connect_timeout_s": 5.0,
        }
        self.config = SshConfig.model_validate(settings | config)
        self.read, self.run = ssh_actions({"ssh-fra": self.config})
        self.port = host.port

    @property
    def estate(self) -> Estate:
        target = TargetDocument(
            kind="host", address="127.0.0.1", port=self.port, connection="ssh-fra"
        )
        web = TargetDocument(kind="endpoint", url="http://127.0.0.1")
        return Estate(COMMANDS, {"gpu-07": target, "web": web}, {"ssh-fra": "ssh"})

    def action(self, name: str) -> SshAction:
        return self.read if COMMANDS[name].effect == "read" else self.run

    def call(self, name: str, timeout_s: float = DEADLINE_S, **args: str) -> Call:
        inputs: Mapping[str, Json] = {"host": "gpu-07", "command": name, "args": args}
        prepared = self.action(name).prepare(inputs, self.estate, None)
        return Call(prepared, "attempt", timeout_s)

    async def outputs(self, name: str, **args: str) -> Mapping[str, Json]:
        return (await self.action(name).execute(self.call(name, DEADLINE_S, **args))).outputs


StartBench = Callable[..., Bench]


def through(relay: Relay, bench: Bench, folder: Path) -> Bench:
    """The same host, behind the relay's port, under the same host key."""
    known_hosts = folder / "known_hosts"
    text = bench.config.known_hosts.read_text()
    known_hosts.write_text(text.replace(f":{bench.port} ", f":{relay.port} "))
    bench.read, bench.run = ssh_actions(
        {"ssh-fra": bench.config.model_copy(update={"known_hosts": known_hosts})}
    )
    bench.port = relay.port
    return bench


async def eventually(holds: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(wait_until, holds, what, DEADLINE_S)


def ended(pid_file: Path) -> bool:
    try:
        return psutil.Process(int(pid_file.read_text())).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
