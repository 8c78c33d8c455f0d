"""Files that are private, durable and refused when they aren't quell's."""

import os
import sqlite3
from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.store.sqlite_files import open_reader, open_writer


def test_the_file_and_its_log_are_private_and_synced(tmp_path: Path) -> None:
    path = tmp_path / "a b?c%.db"
    connection = open_writer(path)
    connection.execute("CREATE TABLE t (a)")
    assert {p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {0o600}
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    connection.close()


def test_a_reader_sees_commits_and_writes_nothing(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "a.db")
    writer.execute("CREATE TABLE t (a)")
    reader = open_reader(tmp_path / "a.db")
    writer.execute("INSERT INTO t VALUES (1)")
    assert reader.execute("SELECT * FROM t").fetchall() == [(1,)]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("INSERT INTO t VALUES (2)")
    reader.close()
    writer.close()


def test_reading_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no .*a\.db"):
        open_reader(tmp_path / "a.db")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("open_file", [open_writer, open_reader])
def test_another_kind_of_file_is_refused(tmp_path: Path, open_file: type) -> None:
    (tmp_path / "a.db").write_bytes(b"this is no database " * 100)
    with pytest.raises(ConfigError, match=r"a\.db.* is not a database"):
        open_file(tmp_path / "a.db")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="absent"):
        open_writer(tmp_path / "absent" / "a.db")
