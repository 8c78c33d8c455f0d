"""A file of checkpoints: appended, synced, and whole again after a crash."""

import asyncio
import os
import threading
from pathlib import Path

import pytest
from typing_extensions import override

from engine.core.audit_export import entry_line, read_copies
from engine.core.events import IncidentAcknowledged
from engine.errors import TransientError
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


async def test_what_was_appended_is_there_in_order(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "copies.jsonl")
    one, two, three = some_lines(3)
    assert await file.last_seq() == 0
    await file.append(one)
    assert await file.last_seq() == 1
    await file.append(two + three)
    assert await file.last_seq() == 3
    assert (tmp_path / "copies.jsonl").read_bytes() == one + two + three
    assert file.name == str(tmp_path / "copies.jsonl")


async def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    await CheckpointFile(tmp_path / "copies.jsonl").append(*some_lines(1))
    assert (tmp_path / "copies.jsonl").stat().st_mode & 0o777 == 0o600


async def test_an_append_ends_when_file_and_folder_are_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced, fsync = tmp_path / "copies.jsonl", [], os.fsync

    def noted(opened: int) -> None:
        synced.append((os.path.samestat(os.fstat(opened), path.stat()), path.stat().st_size))
        fsync(opened)

    monkeypatch.setattr(os, "fsync", noted)
    one, two = some_lines(2)
    await CheckpointFile(path).append(one)
    assert synced == [(True, len(one)), (False, len(one))]
    await CheckpointFile(path).append(two)
    assert synced[2:] == [(True, len(one + two))]


@pytest.mark.parametrize("cut", [1, 40, -2])
async def test_a_line_that_a_crash_cut_off_stays_and_comes_again_whole(
    tmp_path: Path, cut: int
) -> None:
    path = tmp_path / "copies.jsonl"
    one, two, three = some_lines(3)
    path.write_bytes(one + two[:cut])
    file = CheckpointFile(path)
    assert await file.last_seq() == 1
    await file.append(two)
    await file.append(three)
    assert await file.last_seq() == 3
    copies, notes = read_copies(path.read_bytes().splitlines(keepends=True))
    assert [each.seq for each in copies] == [1, 2, 3]
    assert notes == ["line 2 of the copies isn't whole and was passed over"]


async def test_a_line_that_lacks_its_end_alone_is_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "copies.jsonl"
    (line,) = some_lines(1)
    path.write_bytes(line[:-1])
    await CheckpointFile(path).append(line)
    assert path.read_bytes() == line + line


async def test_a_line_that_is_longer_than_a_look_is_found(tmp_path: Path) -> None:
    path = tmp_path / "copies.jsonl"
    one, two = some_lines(2, chains=3000)
    assert len(two) > 200_000
    path.write_bytes(one + two)
    assert await CheckpointFile(path).last_seq() == 2
    path.write_bytes(one + two[:-1])
    assert await CheckpointFile(path).last_seq() == 1


async def test_a_file_without_any_checkpoint_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "copies.jsonl"
    path.write_bytes(b"something else\n" * 10_000)
    assert await CheckpointFile(path).last_seq() == 0


async def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "unmounted" / "copies.jsonl")
    assert await file.last_seq() == 0
    with pytest.raises(TransientError, match="No such file"):
        await file.append(*some_lines(1))
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


async def test_a_write_that_hangs_holds_one_thread_and_refuses_the_next(tmp_path: Path) -> None:
    file = HangingFile(tmp_path / "copies.jsonl")
    one, two = some_lines(2)
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(file.append(one))
        await asyncio.to_thread(file.reached.wait)
        with pytest.raises(TransientError, match="has not ended"):
            await file.append(two)
        file.answers.set()
    await file.append(two)
    assert await file.last_seq() == 2
