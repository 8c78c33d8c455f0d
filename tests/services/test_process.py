import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.services.process import Process, ServiceError, program, run, wait_until


def test_a_missing_program_is_named_with_what_to_do() -> None:
    with pytest.raises(ServiceError, match=r"'nonesuch' is not installed; `make system-packages`"):
        program("nonesuch")


def test_a_process_that_ends_early_shows_its_last_words(tmp_path: Path) -> None:
    process = Process(["sh", "-c", "echo no disk >&2; exit 3"], log=tmp_path / "log")
    with pytest.raises(ServiceError, match="ended with 3\nno disk"):
        process.start(lambda: False)


def test_a_process_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    process = Process(["sleep", "60"], log=tmp_path / "log")
    with pytest.raises(ServiceError, match=r"not within 0\.1 s"):
        process.start(lambda: False, deadline_s=0.1)
    assert not process.running


def test_a_stopped_process_can_start_again(tmp_path: Path) -> None:
    process = Process(["sleep", "60"], log=tmp_path / "log")
    process.start(lambda: True)
    process.stop()
    assert not process.running
    process.start(lambda: True)
    assert process.running
    process.kill()


def test_a_killed_process_takes_its_children_along(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = Process(["sh", "-c", "sleep 60 & echo $!; wait"], log=log)
    process.start(lambda: log.read_text().endswith("\n"))
    child = int(log.read_text())
    process.kill()
    assert not psutil.pid_exists(child)


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="only Linux tells a child of it")
def test_a_process_ends_with_a_test_run_that_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = (
        "import os\n"
        "from pathlib import Path\n"
        "from tests.services.process import Process\n"
        f"process = Process(['sh', '-c', 'echo $$; exec sleep 60'], log=Path({str(log)!r}))\n"
        f"process.start(lambda: Path({str(log)!r}).read_text().endswith('\\n'))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, timeout=30)
    assert done.returncode == -9
    wait_until(lambda: not psutil.pid_exists(int(log.read_text())), "the orphan ends", 5)


def test_a_failed_run_shows_its_output() -> None:
    with pytest.raises(ServiceError, match="ended with 1\nwhy"):
        run(["sh", "-c", "echo why; exit 1"])
