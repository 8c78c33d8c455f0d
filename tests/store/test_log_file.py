"""The embedded log's numbering, bound and retention."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import ConfigError, PermanentError, TransientError
from engine.ports.stream import Message
from engine.store.log_file import MAX_BATCH_BYTES, LogFile


@pytest.fixture
def file(tmp_path: Path) -> Iterator[LogFile]:
    file = LogFile(tmp_path / "stream.db", 2, 1024 * 1024 * 64)
    yield file
    file.close()


def filled(file: LogFile, *values: str, partition: int = 1) -> LogFile:
    file.insert([(partition, Message("k", value.encode())) for value in values])
    return file


def offsets(file: LogFile, offset: int, partition: int = 1) -> list[int]:
    return [record.offset for record in file.read(partition, offset, 100)]


def test_each_partition_counts_its_own_records(file: LogFile) -> None:
    ends = file.insert([(0, Message("a", b"1")), (1, Message("b", b"2")), (0, Message("a", b"3"))])
    assert ends == file.ends() == {0: 2, 1: 1}
    assert offsets(file, 0, 0) == [0, 1]
    assert [(r.partition, r.key, r.value) for r in file.read(1, 0, 9)] == [(1, "b", b"2")]


def test_a_file_keeps_its_id_and_its_count_over_reopening(tmp_path: Path) -> None:
    path = tmp_path / "stream.db"
    first = filled(LogFile(path, 2, 10**8), "a", "b")
    first.trim(1, 2, 100)
    first.close()
    again = LogFile(path, 2, 10**8)
    assert (again.id, again.ends()) == (first.id, {0: 0, 1: 2})
    again.close()
    path.unlink()
    new = LogFile(path, 2, 10**8)
    assert new.id != first.id, "stored positions must not fit a file that was made anew"
    new.close()


def test_another_number_of_partitions_is_refused(tmp_path: Path) -> None:
    LogFile(tmp_path / "stream.db", 2, 10**8).close()
    with pytest.raises(ConfigError, match="has 2 partitions and the settings say 3"):
        LogFile(tmp_path / "stream.db", 3, 10**8)


def test_trimmed_records_are_gone_and_their_offsets_never_used_again(file: LogFile) -> None:
    filled(file, *"abcdef")
    assert file.trim(1, 4, 3) == 3
    assert file.trim(1, 4, 3) == 1
    assert file.trim(1, 99, 100) == 2
    assert filled(file, "g").ends()[1] == 7
    assert offsets(file, 6) == [6]


@pytest.mark.parametrize("offset", [1, 9], ids=["below-retention", "beyond-the-end"])
def test_a_position_that_is_not_there_is_loud(file: LogFile, offset: int) -> None:
    filled(file, *"abcd")
    file.trim(1, 2, 100)
    with pytest.raises(PermanentError, match=rf"go on at {offset} and holds 2 to 4"):
        file.read(1, offset, 10)
    assert offsets(file, 2) == [2, 3]
    assert offsets(file, 4) == []


def test_a_full_file_refuses_until_it_is_trimmed(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "stream.db", 1, 600_000)
    value = "x" * 100_000
    with pytest.raises(TransientError, match=r"full .* of 600000 bytes"):
        for _ in range(10):
            filled(file, value, partition=0)
    kept = file.ends()[0]
    assert 3 <= kept <= 6
    file.trim(0, kept, 100)
    assert filled(file, value, partition=0).ends() == {0: kept + 1}
    file.close()


def test_a_batch_ends_where_memory_would(file: LogFile) -> None:
    filled(file, *["x" * 1_000_000] * 12)
    assert len(file.read(1, 0, 100)) == -(-MAX_BATCH_BYTES // 1_000_000)


def test_a_key_that_is_no_text_is_refused_alone(file: LogFile) -> None:
    with pytest.raises(PermanentError, match="ud800"):
        file.insert([(0, Message("\ud800", b""))])
    assert filled(file, "a").ends() == {0: 0, 1: 1}


def test_the_file_is_private(tmp_path: Path) -> None:
    LogFile(tmp_path / "stream.db", 1, 10**8).close()
    assert (tmp_path / "stream.db").stat().st_mode & 0o777 == 0o600


def test_what_was_there_at_a_time_is_known_as_far_as_it_was_marked(file: LogFile) -> None:
    for at_us in (100, 200, 290, 300):
        filled(file, "x", "y")
        file.mark(at_us, every_us=100)
    assert file.ends()[1] == 8
    assert file.reached(99) == {0: 0, 1: 0}
    assert [file.reached(at_us)[1] for at_us in (100, 199, 200, 299, 300, 999)] == [
        2,
        2,
        4,
        4,
        8,
        8,
    ]


def test_marks_outlive_the_process_and_old_ones_are_forgotten(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "stream.db", 1, 10**8)
    for at_us in range(0, 1000, 100):
        file.mark(at_us, every_us=100)
    file.reached(450)
    file.close()
    again = LogFile(tmp_path / "stream.db", 1, 10**8)
    (marks,) = again.writer.execute("SELECT group_concat(at_us) FROM marks").fetchone()
    assert marks == "400,500,600,700,800,900"
    again.close()


def test_a_file_from_before_there_were_marks_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "stream.db"
    old = filled(LogFile(path, 2, 10**8), "a", "b")
    old.writer.execute("DROP TABLE marks")
    old.close()
    again = LogFile(path, 2, 10**8)
    again.mark(100, every_us=100)
    assert again.reached(100) == {0: 0, 1: 2}
    again.close()


def test_where_records_begin_follows_the_trimming(file: LogFile) -> None:
    filled(file, *"abcdef")
    file.trim(1, 4, 100)
    assert file.starts == {0: 0, 1: 4}


def test_fullness_is_the_share_of_the_bound_and_trimming_lowers_it(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "stream.db", 1, 1_000_000)
    empty = file.fullness()
    filled(file, "x" * 500_000, partition=0)
    assert 0.5 < file.fullness() < 0.6
    file.trim(0, 1, 100)
    assert file.fullness() == pytest.approx(empty, abs=0.01)
    file.close()
