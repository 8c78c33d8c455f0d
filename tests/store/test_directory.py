"""One engine a data folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.store.directory import DataDirectory


def test_the_folder_is_made_private(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "a" / "b")
    directory.open()
    assert directory.path.stat().st_mode & 0o777 == 0o700
    assert directory.lock_path.stat().st_mode & 0o777 == 0o600
    assert {directory.store_path, directory.stream_path} == {
        tmp_path / "a/b/quell.db",
        tmp_path / "a/b/stream.db",
    }
    directory.close()


def test_a_second_engine_is_refused_and_told_whose_folder_it_is(tmp_path: Path) -> None:
    first, second = DataDirectory(tmp_path), DataDirectory(tmp_path)
    first.open()
    with pytest.raises(ConfigError, match=rf"process {os.getpid()}\)"):
        second.open()
    first.close()
    first.close()
    second.open()
    second.close()


def test_the_lock_of_a_killed_engine_is_free(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from engine.store.directory import *;"
        f"DataDirectory(Path({str(tmp_path)!r})).open(); print('locked', flush=True);"
        "sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"locked\n"
        with pytest.raises(ConfigError, match=f"process {child.pid}"):
            DataDirectory(tmp_path).open()
        child.kill()
    directory = DataDirectory(tmp_path)
    directory.open()
    directory.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/data.*--data"):
        DataDirectory(tmp_path / "file" / "data").open()
