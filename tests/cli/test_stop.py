"""Stopping, resuming and cancelling, with an engine and on the folder of one that doesn't run."""

import json
from collections.abc import Iterator

import pytest

from engine.cli.main import execute
from tests.cli.project import Project


def ordered(project: Project, *words: str) -> int:
    return execute([*words, "--data", str(project.data)])


@pytest.fixture
def engine(stopped: Project) -> Iterator[Project]:
    """An engine of this test's own: INC-1 waits for an approval."""
    process = stopped.engine()
    process.start(stopped.is_up)
    yield stopped
    process.stop()


def outcome(project: Project, incident: str = "INC-1") -> tuple[str, str]:
    """Of the only run, and why."""
    with project.client() as client:
        story = client.incident(incident)
    (end,) = [each.body for each in story.timeline if each.kind.startswith("run.ended")]
    assert end is not None
    return story.outcome, str(end["reason"])


def test_a_stop_ends_what_waits_and_is_shown_until_it_is_lifted(
    capsys: pytest.CaptureFixture[str], engine: Project
) -> None:
    assert ordered(engine, "stop", "--rule", "endpoint-down", "--reason", "wrong region") == 0
    told = capsys.readouterr().out
    assert told.startswith("stopped: rule 'endpoint-down', by local:")
    assert told.endswith(" UTC: wrong region\n")
    engine.wait_for(["idle", "needs_person"])
    end, why = outcome(engine)
    assert (end, why.partition(":")[0]) == ("cancelled", "stopped by local")
    assert why.endswith(": wrong region")

    assert ordered(engine, "incidents") == 0
    assert capsys.readouterr().out.startswith(told)
    assert ordered(engine, "resume", "--rule", "endpoint-down") == 0
    assert capsys.readouterr().out == "resumed: rule 'endpoint-down'\n"
    assert ordered(engine, "incidents") == 0
    assert "stopped" not in capsys.readouterr().out


def test_a_stop_without_an_engine_is_obeyed_when_one_starts(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    assert ordered(stopped, "stop", "--all", "--reason", "drill", "--json") == 0
    (stop,) = json.loads(capsys.readouterr().out)["stops"]
    assert (stop["scope"], stop["name"], stop["reason"]) == ("all", "", "drill")
    process = stopped.engine()
    process.start(stopped.is_up)
    try:
        stopped.wait_for(["idle", "needs_person"])
        assert outcome(stopped)[0] == "cancelled"
    finally:
        process.stop()
    assert ordered(stopped, "resume", "--all", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"stops": []}


def test_the_file_stops_too_and_resume_removes_it(
    capsys: pytest.CaptureFixture[str], engine: Project
) -> None:
    file = engine.data / "STOP"
    file.write_text("the region is lost\nand more\n")
    engine.wait_for(["idle", "needs_person"])
    assert outcome(engine) == ("cancelled", "stopped by file: the region is lost")
    assert ordered(engine, "resume", "--all") == 0
    assert capsys.readouterr().out == "resumed: everything\n"
    assert not file.exists()
    with engine.client() as client:
        assert client.stops().stops == ()


def test_a_server_far_away_says_that_its_file_is_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, engine: Project
) -> None:
    file = engine.data / "STOP"
    file.touch()
    engine.wait_for(["idle", "needs_person"])
    token = json.loads((engine.data / "server.json").read_text())["token"]
    monkeypatch.setenv("QUELL_SERVER", engine.url)
    monkeypatch.setenv("QUELL_TOKEN", token)
    assert ordered(engine, "resume", "--all") == 1
    assert "everything stays stopped while there is" in capsys.readouterr().err
    assert file.exists()


def test_a_file_that_no_engine_saw_is_removed(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    (stopped.data / "STOP").touch()
    assert ordered(stopped, "resume", "--all") == 0
    assert capsys.readouterr().out == "resumed: everything\n"
    assert not (stopped.data / "STOP").exists()
    assert ordered(stopped, "resume", "--all") == 2
    assert capsys.readouterr().err == "everything isn't stopped; what is: nothing\n"


@pytest.mark.parametrize("place", ["engine", "stopped"])
def test_a_run_is_cancelled_by_the_name_of_its_incident(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest, place: str
) -> None:
    project: Project = request.getfixturevalue(place)
    assert ordered(project, "cancel", "INC-1", "--reason", "wrong host") == 0
    assert capsys.readouterr().out == (
        "the run of INC-1 is cancelled, and undoes what it did\n"
        "how it ends: quell incidents show INC-1\n"
    )
    if place == "engine":
        project.wait_for(["idle", "needs_person"])
        assert outcome(project)[1].endswith(": wrong host")
    assert ordered(project, "cancel", "INC-1") == 1
    assert ordered(project, "cancel", "INC-2") == 2
    assert "there is no run 'INC-2'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        pytest.param([], id="nothing"),
        pytest.param(["--all", "--rule", "x"], id="two"),
    ],
)
@pytest.mark.parametrize("verb", ["stop", "resume"])
def test_what_is_meant_must_be_said(
    capsys: pytest.CaptureFixture[str], stopped: Project, verb: str, words: list[str]
) -> None:
    reason = ["--reason", "x"]
    assert ordered(stopped, verb, *words, *reason) == 2
    assert "one of --rule ID, --playbook ID and --all" in capsys.readouterr().err


def test_a_misspelt_rule_is_told_by_an_engine(
    capsys: pytest.CaptureFixture[str], running: Project
) -> None:
    assert ordered(running, "stop", "--rule", "endpoint-dwon", "--reason", "x") == 2
    assert "did you mean 'endpoint-down'" in capsys.readouterr().err


def test_a_folder_without_a_store_is_not_taken_for_a_stopped_one(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    project.data.mkdir()
    assert ordered(project, "stop", "--all", "--reason", "x") == 2
    assert "no engine ever kept anything in" in capsys.readouterr().err
