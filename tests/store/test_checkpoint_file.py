"""A file of checkpoints: appended, synced, and whole again after a crash."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typing_extensions import override

from engine.core.audit_export import entry_line, read_copies
from engine.core.events import IncidentAcknowledged
from engine.store.checkpoint_file import CheckpointFile
from tests.doubles.journals import JournalDouble

DEADLINE_S = 10.0


def some_lines(count: int, chains: int = 1) -> list[bytes]:
    """Copies of checkpoints over so many chains each; checkpoint n is system entry n."""
    journal = JournalDouble()
    for number in range(count):
        for chain in range(chains):
            journal.append(f"incident/{chain:06}", IncidentAcknowledged(note=str(number)))
        journal.checkpointed["system"] = 10_000
        journal.checkpoint()
    return [entry_line(entry) for entry in journal.checkpoints()]


def test_what_was_appended_is_there_in_order(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "copies.jsonl")
    one, two, three = some_lines(3)
    assert file.last_seq() == 0
    file.append(one)
    assert file.last_seq() == 1
    file.append(two + three)
    assert file.last_seq() == 3
    assert (tmp_path / "copies.jsonl").read_bytes() == one + two + three
    assert file.name == str(tmp_path / "copies.jsonl")


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    CheckpointFile(tmp_path / "copies.jsonl").append(*some_lines(1))
    assert (tmp_path / "copies.jsonl").stat().st_mode & 0o777 == 0o600


def test_an_append_ends_when_file_and_folder_are_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced, fsync = tmp_path / "copies.jsonl", [], os.fsync

    def noted(opened: int) -> None:
        synced.append((os.path.samestat(os.fstat(opened), path.stat()), path.stat().st_size))
        fsync(opened)

    monkeypatch.setattr(os, "fsync", noted)
    one, two = some_lines(2)
    CheckpointFile(path).append(one)
    assert synced == [(True, len(one)), (False, len(one))]
    CheckpointFile(path).append(two)
    assert synced[2:] == [(True, len(one + two))]


@pytest.mark.parametrize("cut", [1, 40, -2])
def test_a_line_that_a_crash_cut_off_stays_and_comes_again_whole(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "copies.jsonl"
    one, two, three = some_lines(3)
    path.write_bytes(one + two[:cut])
    file = CheckpointFile(path)
    assert file.last_seq() == 1
    file.append(two)
    file.append(three)
    assert file.last_seq() == 3
    copies, notes = read_copies(path.read_bytes().splitlines(keepends=True))
    assert [each.seq for each in copies] == [1, 2, 3]
    assert notes == ["line 2 of the copies isn't whole and was passed over"]


def test_a_line_that_lacks_its_end_alone_is_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "copies.jsonl"
    (line,) = some_lines(1)
    path.write_bytes(line[:-1])
    CheckpointFile(path).append(line)
    assert path.read_bytes() == line + line


def test_a_line_that_is_longer_than_a_look_is_found(tmp_path: Path) -> None:
    path = tmp_path / "copies.jsonl"
    one, two = some_lines(2, chains=3000)
    assert len(two) > 200_000
    path.write_bytes(one + two)
    assert CheckpointFile(path).last_seq() == 2
    path.write_bytes(one + two[:-1])
    assert CheckpointFile(path).last_seq() == 1


def test_a_file_without_any_checkpoint_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "copies.jsonl"
    path.write_bytes(b"something else\n" * 10_000)
    assert CheckpointFile(path).last_seq() == 0


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "unmounted" / "copies.jsonl")
    assert file.last_seq() == 0
    with pytest.raises(FileNotFoundError):
        file.append(*some_lines(1))
    assert not (tmp_path / "unmounted").exists()


class HangingFile(CheckpointFile):
    """On a disk that doesn't answer until it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reached, self.answers = threading.Event(), threading.Event()

    @override
    def _append(self, lines: bytes) -> None:
        self.reached.set()
        assert self.answers.wait(DEADLINE_S)
        super()._append(lines)


def test_a_write_that_hangs_holds_one_thread_and_refuses_the_next(tmp_path: Path) -> None:
    file = HangingFile(tmp_path / "copies.jsonl")
    one, two = some_lines(2)
    with ThreadPoolExecutor(1) as disk:
        hanging = disk.submit(file.append, one)
        assert file.reached.wait(DEADLINE_S)
        with pytest.raises(OSError, match="has not ended"):
            file.append(two)
        file.answers.set()
        hanging.result(DEADLINE_S)
    file.append(two)
    assert file.last_seq() == 2
