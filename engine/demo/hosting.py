"""Starts the demo's host as a process of its own, and sees to it that it ends."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.demo.shims import ask_supervisor
from engine.errors import TransientError

USER = "quell"
UNIT = "vllm"
ADDRESS = "127.0.0.1"

READY_WITHIN_S = 20.0
END_WITHIN_S = 10.0


class Ready(BaseModel):
    """What the host says of itself, in one line of JSON, once it can be reached."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ssh_port: int
    model_port: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Place:
    """A running host; `folder` holds its known_hosts, the key that it lets in, and its logs."""

    folder: Path
    ready: Ready

    @property
    def instance(self) -> str:
        """The model server's address and port, as Prometheus would label it."""
        return f"{ADDRESS}:{self.ready.model_port}"

    @property
    def model_url(self) -> str:
        """Of the model server."""
        return f"http://{self.instance}"

    async def unit_pid(self) -> int:
        """The process of the model server, 0 when none runs."""
        socket_path = self.folder / "supervisor.sock"
        facts = await asyncio.to_thread(ask_supervisor, socket_path, "show", UNIT)
        return int(facts.get("MainPID", "0"))

    def ssh_log(self) -> list[str]:
        """What the host's SSH server wrote down, line by line."""
        return (self.folder / "sshd.log").read_text().splitlines()


@asynccontextmanager
async def running_host(folder: Path) -> AsyncIterator[Place]:
    """A host whose files are in `folder`, which it makes; it ends with this context.

    It ends as well when this process is gone, however that went: its input is a pipe from here.
    Raises TransientError with its last words when it doesn't start.
    """
    complaints = folder.with_name(f"{folder.name}.err")
    with complaints.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # no file of the folder that this runs in is taken for a module
            "-m",
            "engine.demo.host",
            "--folder",
            str(folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is for the demo, which then ends the host
        )
    try:
        ready = await _ready(process)
        if ready is None:
            raise TransientError(
                f"the demo's host did not start within {READY_WITHIN_S:g} s: "
                f"{complaints.read_text(errors='replace')[-2000:]}"
            )
        yield Place(folder, ready)
    finally:
        await _end(process)


async def _ready(process: asyncio.subprocess.Process) -> Ready | None:
    if process.stdout is None:
        return None
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            return Ready.model_validate_json(await process.stdout.readline())
    except (TimeoutError, ValidationError):
        return None


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(END_WITHIN_S):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
