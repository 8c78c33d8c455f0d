"""Letting stay what a temporary remedy changed, from the command line."""

import pytest

from engine.cli.main import execute
from tests.cli.project import Project


@pytest.mark.parametrize("place", ["running", "stopped"])
def test_a_run_that_is_not_taken_back_by_itself_says_so(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest, place: str
) -> None:
    project: Project = request.getfixturevalue(place)
    words = ["keep", "INC-1", "--reason", "until March", "--data", str(project.data)]
    assert execute(words) == 1
    assert "did not succeed, so nothing takes it back" in capsys.readouterr().err


def test_it_wants_to_know_why(stopped: Project) -> None:
    assert execute(["keep", "INC-1", "--data", str(stopped.data)]) == 2
