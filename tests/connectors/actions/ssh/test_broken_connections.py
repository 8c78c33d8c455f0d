"""Connections that fail amid a command, against a real sshd behind a relay that the test breaks."""

import asyncio
from pathlib import Path

import pytest

from engine.core.actions import ProbeAnswer
from engine.errors import OutcomeUnknownError, TransientError
from tests.connectors.actions.ssh.bench import Relay, StartBench, ended, eventually, through
from tests.services.ssh_host import SshHost


@pytest.mark.parametrize(
    ("name", "error"),
    [
        pytest.param("wait", OutcomeUnknownError, id="change"),
        pytest.param("look-and-wait", TransientError, id="read"),
    ],
)
@pytest.mark.parametrize("failure", ["cut", "fall_silent"])
async def test_a_connection_that_fails_amid_a_command(
    start: StartBench,
    relay: Relay,
    tmp_path: Path,
    name: str,
    error: type[Exception],
    failure: str,
) -> None:
    bench, pid = through(relay, start(), tmp_path), tmp_path / "pid"
    call = bench.call(name, timeout_s=5.0, file=str(pid))

    async def fail() -> None:
        await eventually(lambda: pid.exists() and pid.read_text() != "", "the command runs")
        getattr(relay, failure)()

    async with asyncio.TaskGroup() as group:
        group.create_task(fail())
        with pytest.raises(error, match=r"gpu-07: (the connection was lost|no end within 5 s)"):
            await bench.action(name).execute(call)
    await eventually(
        lambda: ended(pid), "the command ends"
    )  # by its own bound, with nobody there to end it
    await bench.run.close()


async def test_a_cancelled_change_ends_by_its_bound(start: StartBench, tmp_path: Path) -> None:
    bench, pid = start(), tmp_path / "pid"
    call = bench.call("wait", timeout_s=4.0, file=str(pid))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await bench.run.execute(call)
    await eventually(lambda: ended(pid), "the command ends")


@pytest.mark.parametrize("failure", ["cut", "fall_silent"])
async def test_a_connection_that_died_unnoticed_is_replaced(
    start: StartBench, relay: Relay, tmp_path: Path, failure: str
) -> None:
    bench = through(relay, start(connect_timeout_s=1.0), tmp_path)
    await bench.outputs("echo", text="a")
    getattr(relay, failure)()
    assert (await bench.outputs("echo", text="b"))["stdout"] == "b"
    await bench.run.close()


async def test_commands_share_one_connection(start: StartBench, ssh_host: SshHost) -> None:
    bench = start()
    before = ssh_host.log.read_text().count("Accepted publickey")
    async with asyncio.TaskGroup() as group:
        for text in "abcdefgh":
            group.create_task(bench.outputs("echo", text=text))
    await bench.run.execute(bench.call("end"))
    assert ssh_host.log.read_text().count("Accepted publickey") == before + 1


async def test_no_more_sessions_than_allowed_run_at_once(start: StartBench, tmp_path: Path) -> None:
    bench, diary = start(max_sessions=1), tmp_path / "diary"
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(bench.outputs("in-turn", file=str(diary)))
    assert diary.read_text() == "in\nout\n" * 4


async def test_an_unreachable_host_cannot_tell(
    start: StartBench, relay: Relay, tmp_path: Path
) -> None:
    bench = through(relay, start(), tmp_path)
    call = bench.call("append", file=str(tmp_path / "file"))
    await relay.__aexit__()
    assert await bench.run.probe(call, {}) is ProbeAnswer.CANNOT_TELL
