"""The report and a person's word, on the folder of an engine that doesn't run."""

import json

import pytest

from engine.cli.main import execute
from tests.cli.project import Project


def ordered(project: Project, *words: str) -> int:
    return execute(["trust", *words, "--data", str(project.data)])


def test_a_run_is_marked_and_the_report_says_what_is_missing(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    assert ordered(stopped, "report", "--json") == 0
    (before,) = json.loads(capsys.readouterr().out)["standings"]
    assert (before["rule"], before["environment"], before["cases"]) == (
        "endpoint-down",
        "staging",
        1,
    )
    assert (before["right"], before["unjudged"]) == (0, 1)
    assert ordered(stopped, "mark", "INC-1", "right", "--why", "as I did") == 0
    assert capsys.readouterr().out == "the run of INC-1 is marked right\n"
    assert ordered(stopped, "report") == 0
    told = capsys.readouterr().out
    assert "1 of 35 judged" in told
    assert "endpoint-down" in told


def test_what_has_no_run_can_not_be_marked(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    assert ordered(stopped, "mark", "INC-99", "wrong") == 2
    assert "no incident 'INC-99'" in capsys.readouterr().err
