"""Locks: what is held, and letting go of it, with an engine and without."""

import json
import sqlite3
from contextlib import closing

import pytest

from engine.cli.main import execute
from tests.cli.project import Project


def hold(project: Project, *, ended: bool) -> None:
    """As if the run of INC-1 had begun to change gpu-07, and had ended halfway."""
    with closing(sqlite3.connect(project.data / "quell.db")) as database:
        (run,) = database.execute("SELECT id FROM runs").fetchone()
        database.execute(
            "INSERT INTO reservations VALUES (?, 'gpu-07', 'restart-llm', 'endpoint-down', "
            "'llm-70b', 'i', 'INC-1', 1, NULL, '')",
            (run,),
        )
        if ended:
            database.execute("UPDATE runs SET ended_at_us = 2, phase = 'ended'")
        database.commit()


def ordered(project: Project, *words: str) -> int:
    return execute(["locks", *words, "--data", str(project.data)])


def test_where_nothing_is_locked_it_says_so(
    capsys: pytest.CaptureFixture[str], running: Project
) -> None:
    assert ordered(running, "list") == 0
    assert capsys.readouterr().out == "nothing is locked\n"
    assert ordered(running, "list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"locks": []}
    assert ordered(running, "release", "gpu-07") == 2
    assert "'gpu-07' isn't locked; what is: nothing" in capsys.readouterr().err


def test_a_kept_target_is_listed_and_let_go_once(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    hold(stopped, ended=True)
    assert ordered(stopped, "list") == 0
    shown = capsys.readouterr().out
    for part in ("gpu-07", "INC-1", "restart-llm", "ended, keeps it"):
        assert part in shown
    assert ordered(stopped, "release", "gpu-07", "--reason", "looked at it") == 0
    assert capsys.readouterr().out == "released: gpu-07\n"
    assert ordered(stopped, "list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"locks": []}
    assert ordered(stopped, "release", "gpu-07") == 2


def test_a_run_at_work_keeps_its_target(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    hold(stopped, ended=False)
    assert ordered(stopped, "list") == 0
    assert "under way" in capsys.readouterr().out
    assert ordered(stopped, "release", "gpu-07") == 1
    assert "the run of INC-1 is at work on 'gpu-07'" in capsys.readouterr().err


def test_an_engine_lets_go_when_it_is_asked(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    hold(stopped, ended=True)
    engine = stopped.engine()
    engine.start(stopped.is_up)
    try:
        assert ordered(stopped, "release", "gpu-07", "--json") == 0
        (lock,) = json.loads(capsys.readouterr().out)["locks"]
        assert (lock["target"], lock["incident"], lock["kept"]) == ("gpu-07", "INC-1", True)
    finally:
        engine.stop()
    assert execute(["audit", "verify", "--data", str(stopped.data)]) == 0
