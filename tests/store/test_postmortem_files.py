"""A postmortem is a whole file, or none."""

import errno
import os
from pathlib import Path

import pytest

from engine.errors import TransientError
from engine.store.postmortem_files import keep_postmortem


def test_it_is_written_and_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "postmortems"
    for text in ("first", "second: größe"):
        path = keep_postmortem(folder, "INC-1", text)
        assert Path(path).read_text() == text
    assert [each.name for each in folder.iterdir()] == ["INC-1.md"]


def test_on_a_full_disk_the_one_before_stays_and_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keep_postmortem(tmp_path, "INC-1", "first")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(TransientError, match=r"INC-1\.md' can't be written: No space left"):
            keep_postmortem(tmp_path, "INC-1", "second")
    assert Path(path).read_text() == "first"
    keep_postmortem(tmp_path, "INC-1", "second")
    assert Path(path).read_text() == "second"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TransientError, match="can't be written"):
        keep_postmortem(tmp_path / "file", "INC-1", "text")
