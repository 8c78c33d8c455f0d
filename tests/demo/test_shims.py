"""The programs that play systemd and the GPU's driver, as the host runs them."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.demo import shims
from engine.demo.unit import Unit
from tests.demo.units import state


async def run(folder: Path, *argv: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-I", "-S", shims.__file__, argv[0], str(folder), *argv[1:]]
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=30
    )


async def test_systemctl_shows_what_it_is_asked_for(folder: Path, unit: Unit) -> None:
    done = await run(folder, "systemctl", "show", "vllm.service", "--property=InvocationID")
    assert done.stdout == f"InvocationID={unit.invocation_id}\n"
    assert done.returncode == 0


async def test_systemctl_restarts_the_unit(folder: Path, unit: Unit) -> None:
    before = unit.invocation_id
    done = await run(folder, "systemctl", "restart", "vllm")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert unit.invocation_id != before


async def test_systemctl_tells_whether_it_is_active(folder: Path, unit: Unit) -> None:
    done = await run(folder, "systemctl", "is-active", "vllm")
    assert (done.stdout, done.returncode) == ("active\n", 0)
    await unit.stop()
    await state(unit, "failed")  # this one is ended by the signal itself
    done = await run(folder, "systemctl", "is-active", "vllm")
    assert (done.stdout, done.returncode) == ("failed\n", 3)
    assert (await run(folder, "systemctl", "status", "vllm")).returncode == 3


async def test_systemctl_knows_no_other_unit(folder: Path, unit: Unit) -> None:
    done = await run(folder, "systemctl", "restart", "nonesuch")
    assert done.returncode == 5
    assert done.stderr.startswith("Unit nonesuch.service not found.")


async def test_journalctl_gives_the_last_lines(folder: Path) -> None:
    (folder / "vllm.log").write_text("one\ntwo\nthree\n")
    argv = ("journalctl", "--unit", "vllm", "--lines", "2", "--no-pager", "--output", "short-iso")
    assert (await run(folder, *argv)).stdout == "two\nthree\n"
    assert "No entries" in (await run(folder, "journalctl", "-u", "other")).stdout
    assert "No entries" in (await run(folder, "journalctl", "-u", "../../etc/passwd")).stdout


async def test_nvidia_smi_fails_and_says_why(folder: Path) -> None:
    done = await run(folder, "nvidia-smi", "-q", "-x")
    assert done.returncode == 9
    assert "no GPU" in done.stdout


@pytest.mark.parametrize(
    ("argv", "stdout", "code"),
    [
        (("sudo", "echo", "a b", "-n"), "a b -n\n", 0),
        (("sudo", "-n", "sh", "-c", "exit 3"), "", 3),
        (("sudo", "-T", "9", "printf", "%s", "-T"), "-T", 0),
        (("sudo", "nonesuch-program"), "", 127),
        (("timeout", "-k", "10", "9", "echo", "-k"), "-k\n", 0),
        (("timeout", "9", "sh", "-c", "exit 3"), "", 3),
        (("timeout", "9", "sh", "-c", "kill -9 $$"), "", 137),
        (("timeout", "9", "nonesuch-program"), "", 127),
        (("timeout", "-k", "5", "0.1", "sleep", "30"), "", 124),
        (("timeout", "-k", "0.1", "0.5", "sh", "-c", "trap '' TERM; exec sleep 30"), "", 137),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
async def test_sudo_and_timeout_run_the_command(
    folder: Path, argv: tuple[str, ...], stdout: str, code: int
) -> None:
    began = time.monotonic()
    done = await run(folder, *argv)
    assert (done.stdout, done.returncode) == (stdout, code), done.stderr
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("name", sorted(shims.PROGRAMS))
async def test_each_says_that_it_is_the_demos(folder: Path, name: str) -> None:
    done = await run(folder, name, "--help")
    assert f"The {name} of quell's demo" in " ".join(done.stdout.split())
    assert done.returncode == 0
