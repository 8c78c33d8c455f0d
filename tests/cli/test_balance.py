"""Every alert accounted for."""

import json
import sqlite3
from contextlib import closing

import pytest

from engine.cli.main import execute
from tests.cli.project import Project


@pytest.mark.parametrize("place", ["running", "stopped"])
def test_every_record_has_become_something(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest, place: str
) -> None:
    project: Project = request.getfixturevalue(place)
    assert execute(["balance", "--data", str(project.data)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["became", "records"],
        ["new", "1"],
        ["unmatched", "1"],
        ["waiting", "0"],
        ["records", "2"],
        ["balanced"],
    ]


def test_a_lost_record_is_a_finding(capsys: pytest.CaptureFixture[str], stopped: Project) -> None:
    with closing(sqlite3.connect(stopped.data / "quell.db")) as store, store:
        store.execute("UPDATE counters SET value = 0 WHERE name = 'disposition/new'")
    assert execute(["balance", "--data", str(stopped.data)]) == 1
    assert capsys.readouterr().out.endswith("1 records have no disposition\n")
    assert execute(["balance", "--data", str(stopped.data), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["difference"] == 1
