"""The supervised unit: real processes, started again on order only."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from engine.demo.shims import ask_supervisor
from engine.demo.unit import Unit, supervised
from tests.demo.units import PATIENT, state

DEAF = (
    sys.executable,
    "-c",
    "import signal, sys; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); "
    "sys.stdin.read()",
)


async def ask(folder: Path, order: str, unit: str = "vllm") -> dict[str, str]:
    return await asyncio.to_thread(ask_supervisor, folder / "supervisor.sock", order, unit)


async def test_it_is_started_at_once_and_shown(folder: Path, unit: Unit) -> None:
    shown = await ask(folder, "show")
    assert shown == unit.properties()
    assert shown["ActiveState"] == "active"
    assert psutil.Process(int(shown["MainPID"])).cmdline() == list(PATIENT)
    assert len(shown["InvocationID"]) == 32


async def test_a_restart_is_a_new_process_with_a_new_invocation(folder: Path, unit: Unit) -> None:
    before = unit.properties()
    after = await ask(folder, "restart")
    assert after["MainPID"] != before["MainPID"]
    assert after["InvocationID"] != before["InvocationID"]
    assert not psutil.pid_exists(int(before["MainPID"]))


async def test_a_killed_process_is_not_started_again_by_itself(folder: Path, unit: Unit) -> None:
    before = unit.properties()
    os.kill(int(before["MainPID"]), signal.SIGKILL)
    await state(unit, "failed")
    shown = await ask(folder, "show")
    assert (shown["ActiveState"], shown["MainPID"]) == ("failed", "0")
    assert shown["InvocationID"] == before["InvocationID"]
    async with asyncio.timeout(10):
        while "ended by SIGKILL" not in unit.log.read_text():
            await asyncio.sleep(0.01)
    assert (await ask(folder, "restart"))["ActiveState"] == "active"


async def test_a_process_that_ended_well_is_inactive(folder: Path) -> None:
    unit = Unit("short", (sys.executable, "-c", ""), folder / "short.log")
    await unit.restart()
    await state(unit, "inactive")


async def test_a_process_that_does_not_listen_is_killed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.demo.unit.STOP_WITHIN_S", 0.1)
    unit = Unit("deaf", DEAF, folder / "deaf.log")
    await unit.restart()
    async with asyncio.timeout(10):
        while "deaf\n" not in unit.log.read_text():
            await asyncio.sleep(0.01)
    pid = int(unit.properties()["MainPID"])
    await unit.stop()
    assert not psutil.pid_exists(pid)


async def test_another_unit_is_unknown(folder: Path, unit: Unit) -> None:
    before = unit.properties()
    assert await ask(folder, "restart", "nonesuch") == {}
    assert unit.properties() == before


@pytest.mark.parametrize("line", [b"\n", b"no json\n", b"[]\n", b""])
async def test_what_is_no_order_changes_nothing(folder: Path, unit: Unit, line: bytes) -> None:
    before = unit.properties()
    reader, writer = await asyncio.open_unix_connection(folder / "supervisor.sock")
    writer.write(line)
    writer.write_eof()
    answer = await reader.read()
    assert answer == b"" or json.loads(answer) == {}
    writer.close()
    await writer.wait_closed()
    assert unit.properties() == before


async def test_the_process_ends_with_its_supervision(folder: Path) -> None:
    unit = Unit("vllm", PATIENT, folder / "vllm.log")
    async with supervised(unit, folder / "supervisor.sock"):
        pid = int(unit.properties()["MainPID"])
    assert not psutil.pid_exists(pid)
