"""An answer from the command line, on the folder of an engine that doesn't run."""

import pytest

from engine.cli.main import execute
from tests.cli.project import Project


def test_a_run_that_asks_nothing_says_so(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    assert execute(["answer", "INC-1", "v2", "--data", str(stopped.data)]) == 1
    assert "what the run asks now: nothing" in capsys.readouterr().err
