"""Senders are refused while there is still room for what is under way."""

import os
from pathlib import Path

import pytest

from engine.errors import TransientError
from engine.ports.stream import Message
from engine.store import disk
from engine.store.disk import is_full, require_free
from engine.store.log_file import LogFile


def test_a_disk_with_room_takes_what_fits_and_keeps_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_free(tmp_path, 1)
    assert not is_full(tmp_path)
    found = os.statvfs(tmp_path)
    free = found.f_bavail * found.f_frsize
    with pytest.raises(TransientError, match=r"is full: \d+ bytes are left"):
        require_free(tmp_path, free)
    monkeypatch.setattr(disk, "KEPT_FREE_BYTES", 2 * free)
    with pytest.raises(TransientError, match="free some"):
        require_free(tmp_path, 0)
    assert is_full(tmp_path)


def test_a_disk_that_cannot_be_asked_is_a_store_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="can't be used now"):
        require_free(tmp_path / "gone", 1)


def test_a_log_on_a_full_disk_refuses_and_can_still_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = LogFile(tmp_path / "stream.db", 1, 10**9)
    file.insert([(0, Message("k", b"1"))])
    monkeypatch.setattr(disk, "KEPT_FREE_BYTES", 10**18)
    with pytest.raises(TransientError, match="is full"):
        file.insert([(0, Message("k", b"2"))])
    assert [each.value for each in file.read(0, 0, 10)] == [b"1"]
    assert file.ends() == {0: 1}
    file.close()
