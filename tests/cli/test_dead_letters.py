"""What couldn't be understood is listed, shown safely, and taken in again."""

import json
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from engine.cli.main import execute
from engine.cli.server_file import running_engine
from tests.cli.project import Project

ESCAPES = b'\x1b[31m{"alerts": \xff'
HOLLOW = json.dumps({"alerts": [{"status": "firing", "labels": 5}]}).encode()
WRONG_LABELS = "expected an object of strings, got the number 5"
SOUND = json.dumps({"alerts": [{"status": "firing", "labels": {"alertname": "DoorOpen"}}]}).encode()


def post(project: Project, body: bytes) -> None:
    """A body that is refused, and kept."""
    running = running_engine(project.data)
    assert running is not None
    request = urllib.request.Request(f"{running.url}/v1/alerts/alertmanager", body)
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except urllib.error.HTTPError as error:
        assert error.code in (400, 422)
        error.close()


@pytest.fixture
def engine(stopped: Project) -> Iterator[Project]:
    """An engine that kept two bodies."""
    process = stopped.engine()
    process.start(stopped.is_up)
    post(stopped, ESCAPES)
    post(stopped, HOLLOW)
    post(stopped, HOLLOW)
    yield stopped
    process.stop()


def verb(project: Project, *words: str) -> int:
    return execute(["dead-letters", *words, "--data", str(project.data)])


def listed(capsys: pytest.CaptureFixture[str], project: Project) -> dict[str, Any]:
    """The letters by their reason, up to a colon."""
    capsys.readouterr()
    assert verb(project, "list", "--json") == 0
    found = json.loads(capsys.readouterr().out)["dead_letters"]
    return {each["reason"].partition(":")[0]: each for each in found}


def test_a_list_tells_what_is_wrong_and_how_often(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, engine: Project
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert verb(engine, "list") == 0
    heading, hollow, escapes = capsys.readouterr().out.splitlines()
    assert heading.split()[:2] == ["dead", "letter"]
    assert "alertmanager  alerts[0].labels  expected an object of strings" in hollow
    assert hollow.split()[2] == "2"
    assert "not UTF-8" in escapes
    assert verb(engine, "list", "--limit", "1") == 0
    assert "the newest 1; there are more" in capsys.readouterr().out


def test_what_it_holds_is_spelled_out_and_cut(
    capsys: pytest.CaptureFixture[str], engine: Project
) -> None:
    letter = listed(capsys, engine)["not UTF-8"]
    assert verb(engine, "show", letter["id"][:10]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert '\\x1b[31m{"alerts": \\xff' in shown
    assert "source      alertmanager" in shown
    post(engine, b"{" + b"x" * 10_000)
    long = listed(capsys, engine)["not JSON"]
    assert verb(engine, "show", long["id"]) == 0
    assert "… 6001 more characters: --full" in capsys.readouterr().out
    assert verb(engine, "show", long["id"], "--full") == 0
    assert "x" * 10_000 in capsys.readouterr().out


def test_a_replay_says_why_not_and_keeps_the_letter(
    capsys: pytest.CaptureFixture[str], engine: Project
) -> None:
    letter = listed(capsys, engine)[WRONG_LABELS]
    assert verb(engine, "replay", letter["id"]) == 1
    assert "It still can't be understood: alerts[0].labels" in capsys.readouterr().out
    assert verb(engine, "replay", "--all", "--json") == 1
    answers = json.loads(capsys.readouterr().out)
    assert [each["replayed"] for each in answers] == [False, False]
    assert all(each["replayed_at"] is None for each in listed(capsys, engine).values())


def test_what_is_understood_by_now_is_taken_in_once(
    capsys: pytest.CaptureFixture[str], engine: Project
) -> None:
    # As a version that had a gap would have left it behind.
    letter = listed(capsys, engine)["not UTF-8"]["id"]
    with closing(sqlite3.connect(engine.data / "quell.db")) as store, store:
        store.execute(
            "UPDATE dead_letters SET body = ?, size = ? WHERE id = ?", (SOUND, len(SOUND), letter)
        )
    assert verb(engine, "replay", letter) == 0
    assert capsys.readouterr().out == f"{letter[:12]}  Taken in as 1 alert.\n"
    engine.wait_for(["idle", "idle", "awaiting_approval"])
    assert listed(capsys, engine)["not UTF-8"]["replayed_at"] is not None
    assert verb(engine, "replay", letter) == 1
    assert "replayed already" in capsys.readouterr().err
    assert verb(engine, "list", "--waiting", "--json") == 0
    waiting = json.loads(capsys.readouterr().out)["dead_letters"]
    assert [each["field"] for each in waiting] == ["alerts[0].labels"]


def test_without_an_engine_they_are_read_and_not_replayed(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    assert verb(stopped, "list") == 0
    assert capsys.readouterr().out == "no dead letters\n"
    assert verb(stopped, "show", "abc") == 2
    assert "no dead letter 'abc'; `quell dead-letters list` lists them" in capsys.readouterr().err
    assert verb(stopped, "replay", "abc") == 3
    assert "no engine runs on" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["replay"], ["replay", "abc", "--all"]], ids=["none", "both"])
def test_a_replay_is_of_one_or_of_all(
    capsys: pytest.CaptureFixture[str], stopped: Project, words: list[str]
) -> None:
    assert verb(stopped, *words) == 2
    assert "name one dead letter, or say --all" in capsys.readouterr().err
