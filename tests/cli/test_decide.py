"""The same decision as in Slack, by an engine that runs or in the folder of one that doesn't."""

import json

import pytest

from engine.cli.main import execute
from tests.cli.project import Project


def decide(project: Project, *words: str) -> int:
    return execute([*words, "--data", str(project.data)])


def test_a_decision_without_an_engine_is_acted_on_when_one_starts(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    assert decide(stopped, "reject", "INC-1", "--reason", "not now") == 0
    assert capsys.readouterr().out.startswith("Rejected by local:")
    engine = stopped.engine()
    engine.start(stopped.is_up)
    try:
        stopped.wait_for(["idle", "needs_person"])
        with stopped.client() as client:
            story = client.incident("INC-1")
    finally:
        engine.stop()
    decided = [each for each in story.timeline if each.kind.startswith("approval.decided")]
    assert [each.body["reason"] for each in decided if each.body] == ["not now"]
    assert story.outcome == "cancelled"


def test_a_decision_activates_no_other_catalog(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    stopped.config.unlink()
    execute(["audit", "verify", "--json", "--data", str(stopped.data)])
    before = json.loads(capsys.readouterr().out)["entries"]
    assert decide(stopped, "approve", "INC-1") == 0
    execute(["audit", "verify", "--json", "--data", str(stopped.data)])
    after = json.loads(capsys.readouterr().out.partition("\n")[2])["entries"]
    assert after == before + 1


def test_the_first_decision_stands_and_the_second_is_told_so(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    engine = stopped.engine()
    engine.start(stopped.is_up)
    try:
        assert decide(stopped, "reject", "INC-1", "--json") == 0
        first = json.loads(capsys.readouterr().out)
        assert decide(stopped, "approve", "INC-1", "--json") == 1
        second = json.loads(capsys.readouterr().out)
        assert decide(stopped, "reject", first["approval"]["run_id"]) == 0
    finally:
        engine.stop()
    assert first["approval"]["state"] == second["approval"]["state"] == "rejected"
    assert second["sentence"].startswith("Already rejected by local:")
    assert decide(stopped, "approve", "INC-1") == 1


@pytest.mark.parametrize("verb", ["approve", "reject"])
@pytest.mark.parametrize("place", ["running", "stopped"])
def test_what_nobody_asked_cannot_be_decided(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest, place: str, verb: str
) -> None:
    assert decide(request.getfixturevalue(place), verb, "INC-2") == 2
    assert capsys.readouterr().err.startswith("nobody was asked to approve anything in INC-2")


def test_without_the_token_nothing_is_decided(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, running: Project
) -> None:
    monkeypatch.setenv("QUELL_SERVER", running.url)
    monkeypatch.setenv("QUELL_TOKEN", "guess")
    assert decide(running, "approve", "INC-1") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "QUELL_TOKEN" in err
    assert "guess" not in err
