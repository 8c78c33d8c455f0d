"""The host's life: it ends with whoever started it, however that went."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from engine.demo.hosting import Place, running_host
from engine.errors import TransientError
from tests.services.process import wait_until

# Starts a host, says which processes there are, and waits. In short naps: asyncio hears of a SIGINT
# that comes right before it begins to wait only when it wakes up.
PARENT = """
import asyncio, sys
from pathlib import Path
from engine.demo.hosting import running_host

async def main():
    async with running_host(Path(sys.argv[1])) as place:
        print(await place.unit_pid(), flush=True)
        for _ in range(12_000):
            await asyncio.sleep(0.05)

asyncio.run(main())
"""


async def test_it_ends_with_its_context(folder: Path) -> None:
    async with running_host(folder / "host") as place:
        model_server = psutil.Process(await place.unit_pid())
        host = model_server.parent()
    assert host is not None
    assert not host.is_running()
    assert not model_server.is_running()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_all_of_it_ends_when_the_parent_dies(folder: Path, how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder / "host")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        model_server = psutil.Process(int(parent.stdout.readline()))
        host = model_server.parent()
        assert host is not None
        assert host.pid != parent.pid
        parent.send_signal(how)
        parent.wait(10)
    wait_until(lambda: not host.is_running(), "the host is gone", 10)
    wait_until(lambda: not model_server.is_running(), "the model server is gone", 10)


async def test_the_model_server_ends_when_the_host_is_killed(place: Place) -> None:
    model_server = psutil.Process(await place.unit_pid())
    host = model_server.parent()
    assert host is not None
    host.kill()
    wait_until(lambda: not model_server.is_running(), "the model server is gone", 10)


async def test_a_host_that_does_not_start_says_why(folder: Path) -> None:
    (folder / "host").mkdir()
    with pytest.raises(TransientError, match="FileExistsError"):
        async with running_host(folder / "host"):
            pytest.fail("it started")


async def test_the_unit_has_no_process_once_it_was_killed(place: Place) -> None:
    psutil.Process(await place.unit_pid()).kill()
    async with asyncio.timeout(10):
        while await place.unit_pid():
            pass
