"""Showing and lifting the storm brake, with an engine and without."""

import json
import sqlite3
from contextlib import closing

import pytest

from engine.cli.main import execute
from tests.cli.project import Project


def brake(project: Project) -> None:
    """As if a storm had come."""
    with closing(sqlite3.connect(project.data / "quell.db")) as database:
        database.execute("INSERT INTO switches VALUES ('storm-brake', 'engine', 'a storm', 0)")
        database.commit()


def ordered(project: Project, *words: str) -> int:
    return execute(["brake", *words, "--data", str(project.data)])


def test_while_nothing_is_braked_there_is_nothing_to_lift(
    capsys: pytest.CaptureFixture[str], running: Project
) -> None:
    assert ordered(running, "show") == 0
    assert capsys.readouterr().out == "the storm brake is off\n"
    assert ordered(running, "lift") == 2
    assert "the storm brake isn't on" in capsys.readouterr().err


def test_the_brake_is_shown_and_lifted_once(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    brake(stopped)
    assert ordered(stopped, "show") == 0
    assert capsys.readouterr().out == (
        "the storm brake is on since 1970-01-01 00:00:00 UTC: a storm\n"
    )
    assert ordered(stopped, "lift", "--json", "--reason", "over") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["on"], shown["reason"]) == (True, "a storm")
    assert ordered(stopped, "lift") == 2
