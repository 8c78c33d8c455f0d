"""Letting one more run of a playbook try, with an engine and without."""

import json
import sqlite3
from contextlib import closing

import pytest

from engine.cli.main import execute
from tests.cli.project import Project


def fail(project: Project) -> None:
    """As if a run of restart-llm had failed on gpu-07 just now."""
    with closing(sqlite3.connect(project.data / "quell.db")) as database:
        database.execute(
            "INSERT INTO reservations SELECT 'r', 'gpu-07', 'restart-llm', 'endpoint-down', "
            "'llm-70b', 'i', 'INC-1', created_at_us, created_at_us + 1, 'failed' FROM runs"
        )
        database.commit()


def ordered(project: Project, *words: str) -> int:
    return execute(["breaker", *words, "--data", str(project.data)])


def test_where_nothing_failed_there_is_nothing_to_excuse(
    capsys: pytest.CaptureFixture[str], running: Project
) -> None:
    assert ordered(running, "try", "restart-llm") == 2
    assert "the last run of 'restart-llm' did not fail" in capsys.readouterr().err


def test_what_failed_is_excused_once(capsys: pytest.CaptureFixture[str], stopped: Project) -> None:
    fail(stopped)
    assert ordered(stopped, "try", "restart-llm", "--target", "gpu-08") == 2
    assert ordered(stopped, "try", "restart-llm", "--json", "--reason", "new driver") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == {"playbook": "restart-llm", "excused": ["INC-1"]}
    assert ordered(stopped, "try", "restart-llm") == 2
