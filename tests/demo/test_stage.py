"""What the demo sets up it clears away, however it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.demo.demos import QUELL, tell
from tests.services.process import wait_until


def processes_of(folder: Path) -> list[psutil.Process]:
    """Those whose command names the folder, or whose parent's does."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(folder) in word for word in process.cmdline()):
                found += [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    return found


def test_nothing_is_left_unless_it_is_asked_for(folder: Path) -> None:
    told = tell("--yes", env={"TMPDIR": str(folder)})
    assert told.code == 0
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_demo_leaves_no_process(folder: Path, how: signal.Signals) -> None:
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [*QUELL, "demo"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "TMPDIR": str(folder)},
    ) as demo:
        try:
            assert demo.stdout is not None
            output = b""
            while b"[y/N]" not in output and (chunk := os.read(demo.stdout.fileno(), 4096)):
                output += chunk
            started = processes_of(folder)
            assert len(started) == 1, output.decode()  # the host; its unit is dead now
            demo.send_signal(how)
            rest = demo.stdout.read()
            code = demo.wait(20)
        finally:
            demo.kill()
    os.close(ours)
    os.close(theirs)
    wait_until(lambda: not any(map(psutil.Process.is_running, started)), "all have ended", 10)
    if how is not signal.SIGKILL:
        assert (code, list(folder.iterdir())) == (1, []), rest.decode()
        assert b"Stopped" in rest
        assert b"Traceback" not in rest


def test_the_environment_of_a_real_quell_does_not_reach_it() -> None:
    told = tell(
        "--yes",
        env={
            "QUELL_STORE__URL": "postgresql://nobody@nowhere.example/none",
            "QUELL_STREAM__USES": "kafka",
            "QUELL_PEOPLE__SLACK": '{"bot_token": "x"}',
            "QUELL_RECORDS__JIRA": '{"url": "https://jira.example"}',
            "QUELL_SERVER": "http://127.0.0.1:9",
        },
    )
    assert told.code == 0, told.output + told.errors


def test_a_host_that_does_not_start_is_told_in_words(folder: Path) -> None:
    script = (
        "import sys; from engine.demo import hosting; hosting.READY_WITHIN_S = 0.0\n"
        "from engine.cli.main import execute; sys.exit(execute(['demo', '--yes']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    assert done.returncode == 3
    assert "the demo's host did not start within 0 s" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(folder.iterdir()) == []


def test_a_long_name_of_the_folder_for_temporary_files_is_no_obstacle(tmp_path: Path) -> None:
    long = tmp_path / ("long" * 25)
    long.mkdir()
    told = tell("--yes", env={"TMPDIR": str(long)})
    assert told.code == 0, told.output + told.errors


def test_a_closed_standard_input_is_no_obstacle() -> None:
    argv = ["sh", "-c", 'exec "$0" "$@" <&-', *QUELL]
    told = tell(argv=argv)
    assert told.code == 0, told.output + told.errors
    assert "standard input is no terminal" in told.output
