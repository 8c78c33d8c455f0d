"""Where the stream is read, with an engine and on the folder of one that doesn't run."""

import json
import sqlite3
from contextlib import closing

import pytest

from engine.cli.main import execute
from tests.cli.project import Project


def verb(project: Project, *words: str) -> int:
    return execute(["positions", *words, "--data", str(project.data)])


def rows(printed: str) -> list[list[str]]:
    return [line.split() for line in printed.splitlines()]


def replace_stream(project: Project) -> None:
    """As if its file had been lost: what was processed was in another one."""
    with closing(sqlite3.connect(project.data / "quell.db")) as store, store:
        store.execute("UPDATE positions SET stream = 'embedded@lost'")


@pytest.fixture
def replaced(stopped: Project) -> Project:
    replace_stream(stopped)
    return stopped


@pytest.mark.parametrize("place", ["running", "stopped"])
def test_each_partition_is_listed(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest, place: str
) -> None:
    project: Project = request.getfixturevalue(place)
    assert verb(project) == 0
    heading, *partitions = rows(capsys.readouterr().out)
    assert heading == ["partition", "position", "first", "end"]
    assert [each[0] for each in partitions] == ["0", "1", "2", "3"]
    assert sum(int(each[3]) for each in partitions) == 2
    assert all(each[1] == each[3] for each in partitions)


def test_a_stopped_one_is_a_finding_with_its_reason(
    capsys: pytest.CaptureFixture[str], replaced: Project
) -> None:
    assert verb(replaced, "list") == 1
    printed = capsys.readouterr().out
    assert "stopped" in printed
    assert "processed up to 2 in log lost" in printed
    assert verb(replaced, "list", "--json") == 1
    found = json.loads(capsys.readouterr().out)["positions"]
    assert {each["position"] for each in found if each["stopped"]} == {None}


def test_a_stopped_partition_is_sent_on_without_an_engine(
    capsys: pytest.CaptureFixture[str], replaced: Project
) -> None:
    assert verb(replaced, "--json") == 1
    found = json.loads(capsys.readouterr().out)["positions"]
    (partition,) = [str(each["partition"]) for each in found if each["stopped"]]
    assert verb(replaced, "set", partition, "1", "--reason", "the disk was lost") == 0
    assert capsys.readouterr().out == f"partition {partition} goes on at 1; 1 record passed over\n"
    assert verb(replaced, "set", partition, "end", "--reason", "again") == 1
    assert "isn't stopped" in capsys.readouterr().err
    assert verb(replaced) == 0
    assert execute(["balance", "--data", str(replaced.data)]) == 0
    assert ["skipped", "1"] in rows(capsys.readouterr().out)
    assert execute(["audit", "verify", "--data", str(replaced.data)]) == 0


def test_a_running_engine_goes_on_without_a_restart(
    capsys: pytest.CaptureFixture[str], replaced: Project
) -> None:
    engine = replaced.engine()
    engine.start(replaced.is_up)
    try:
        assert verb(replaced, "--json") == 1
        found = json.loads(capsys.readouterr().out)["positions"]
        (partition,) = [each["partition"] for each in found if each["stopped"]]
        words = ("set", str(partition), "first", "--reason", "drill", "--json")
        assert verb(replaced, *words) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer == {"partition": partition, "position": 0, "passed_over": 0}
        replaced.wait_for_balance({"repeat": 2, "new": 1, "unmatched": 1})
    finally:
        engine.stop()


@pytest.mark.parametrize("to", ["start", "-1", "1.5", "²"])
def test_what_is_no_place_is_refused(
    capsys: pytest.CaptureFixture[str], stopped: Project, to: str
) -> None:
    assert verb(stopped, "set", "0", "--reason", "x", "--", to) == 2


def test_a_folder_without_the_stream_says_what_to_do(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    """As on Kafka: only an engine knows its brokers."""
    for file in stopped.data.glob("stream.db*"):
        file.unlink()
    for words in (("list",), ("set", "0", "first", "--reason", "x")):
        assert verb(stopped, *words) == 3
        assert "start the engine" in capsys.readouterr().err
    assert execute(["balance", "--data", str(stopped.data)]) == 3
    assert "start the engine" in capsys.readouterr().err
