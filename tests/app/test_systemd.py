"""systemd hears that quell is ready, alive as long as healthz says so, and stopping."""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.app.systemd import ALIVE_EVERY_S, Systemd
from tests.doubles.virtual_time import VirtualClock, until


@dataclass
class Manager:
    """Listens where systemd would."""

    address: str
    socket: socket.socket
    clock: VirtualClock = field(default_factory=VirtualClock)
    problems: list[str] = field(default_factory=list)

    def systemd(self) -> Systemd:
        return Systemd(self.address, self.clock, lambda: self.problems)

    def heard(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(100).decode())
            except BlockingIOError:
                return found


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = f"@quell-test-{tmp_path.name}" if request.param == "abstract" else "notify"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.chdir(tmp_path)
        listening.bind("\0" + address[1:] if address.startswith("@") else address)
        listening.setblocking(False)
        yield Manager(address, listening)


async def test_what_is_told_arrives_and_the_watchdog_is_fed_while_all_is_well(
    manager: Manager,
) -> None:
    systemd = manager.systemd()
    systemd.tell("READY=1")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(systemd.run())
        await until(lambda: manager.clock.sleeping == 1)
        assert manager.heard() == ["READY=1", "WATCHDOG=1"]
        for problems, heard in ((["partition 3 stands still"], []), ([], ["WATCHDOG=1"])):
            manager.problems[:] = problems
            manager.clock.advance(ALIVE_EVERY_S)
            await until(manager.clock.at_rest)
            assert manager.heard() == heard
        running.cancel()


def test_without_a_listener_nothing_happens(tmp_path: Path) -> None:
    for address in ("", str(tmp_path / "gone")):
        Systemd(address, VirtualClock(), list).tell("READY=1")
