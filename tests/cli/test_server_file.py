"""An engine that runs is found; one that died is not taken for it."""

import errno
import os
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from engine.cli.server_file import SERVER_FILE, Running, announced, running_engine
from engine.errors import ConfigError, TransientError

ENGINE = Running("http://127.0.0.1:8484", SecretStr("t0ken"))


def test_the_file_is_there_while_the_engine_runs_and_for_its_owner_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with announced(data, ENGINE) as path:
        assert running_engine(data) == ENGINE
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert [each.name for each in data.iterdir()] == [SERVER_FILE]
    assert running_engine(data) is None
    assert list(data.iterdir()) == []


def test_the_file_of_an_engine_that_was_killed_leads_nowhere(tmp_path: Path) -> None:
    with announced(tmp_path, ENGINE) as path:
        left_behind = path.read_text()
    (tmp_path / SERVER_FILE).write_text(left_behind)
    assert running_engine(tmp_path) is None
    with announced(tmp_path, ENGINE):
        assert running_engine(tmp_path) == ENGINE


def test_an_engine_removes_its_own_file_alone(tmp_path: Path) -> None:
    other = Running("http://127.0.0.1:8585", SecretStr("other"))
    with announced(tmp_path, other):
        with announced(tmp_path, ENGINE), announced(tmp_path, other):
            pass
        assert running_engine(tmp_path) is None
    with announced(tmp_path, ENGINE):
        second = announced(tmp_path, other)
        second.__enter__()
    assert running_engine(tmp_path) == other
    second.__exit__(None, None, None)


def test_a_file_that_cannot_be_read_says_whose_it_is(tmp_path: Path) -> None:
    (tmp_path / SERVER_FILE).mkdir()
    with pytest.raises(ConfigError, match="ask as the user that quell runs as"):
        running_engine(tmp_path)


def test_a_disk_that_takes_no_file_is_told_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    said = "can't be written: No space left"
    with pytest.raises(TransientError, match=said), announced(tmp_path, ENGINE):
        pass
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    written = announced(tmp_path / "file", ENGINE)
    with pytest.raises(TransientError, match="can't be written"), written:
        pass
