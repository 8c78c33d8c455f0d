"""A supervised process of the demo's host: started again on order only, never by itself.

Whoever may open its Unix socket gives the orders; that is what the host's `systemctl` does.
"""

import asyncio
import json
import secrets
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

STOP_WITHIN_S = 5.0


@dataclass(slots=True)
class Unit:
    """One unit; `argv` is what it runs, `log` keeps what that writes.

    The process gets a pipe as its input: when this process is gone, the input ends.
    """

    name: str
    argv: Sequence[str]
    log: Path
    invocation_id: str = ""
    _process: asyncio.subprocess.Process | None = None
    _order: asyncio.Lock = field(default_factory=asyncio.Lock)
    _started: asyncio.Event = field(default_factory=asyncio.Event)

    def properties(self) -> dict[str, str]:
        """Its state in systemd's words."""
        process = self._process
        alive = process is not None and process.returncode is None
        failed = process is not None and process.returncode not in (None, 0)
        return {
            "Id": f"{self.name}.service",
            "Description": "the model server of quell's demo",
            "ActiveState": "active" if alive else "failed" if failed else "inactive",
            "MainPID": str(process.pid) if process is not None and alive else "0",
            "InvocationID": self.invocation_id,
        }

    async def restart(self) -> None:
        """End the process if it runs, and start it with a new invocation id."""
        async with self._order:
            await self._end()
            self.invocation_id = secrets.token_hex(16)
            with self.log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self.argv, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log
                )
            self._started.set()
            self._note(f"started as process {self._process.pid}")

    async def stop(self) -> None:
        """End the process if it runs."""
        async with self._order:
            await self._end()

    async def watch(self) -> None:
        """Write into the log when and how the process ends, until cancelled."""
        while True:
            await self._started.wait()
            self._started.clear()
            if self._process is not None:
                pid, status = self._process.pid, await self._process.wait()
                how = signal.Signals(-status).name if status < 0 else f"exit code {status}"
                self._note(f"process {pid} ended by {how}; it is started again on order only")

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def _note(self, text: str) -> None:
        with self.log.open("a") as log:
            log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} supervisor: {self.name}: {text}\n")


@asynccontextmanager
async def supervised(unit: Unit, socket_path: Path) -> AsyncIterator[None]:
    """Start the unit and obey the orders that come over the socket; end it in the end."""

    async def obey(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ValueError):
            order = json.loads(await reader.readline())
            answer: dict[str, str] = {}
            if isinstance(order, dict) and order.get("unit") == unit.name:
                if order.get("order") == "restart":
                    await unit.restart()
                answer = unit.properties()
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    await unit.restart()
    try:
        server = await asyncio.start_unix_server(obey, socket_path)
        async with server, asyncio.TaskGroup() as group:
            watching = group.create_task(unit.watch())
            yield
            watching.cancel()
    finally:
        await unit.stop()
