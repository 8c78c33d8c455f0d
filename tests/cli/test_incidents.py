"""What there is, and the whole story of one, with and without a running engine."""

import json

import pytest

from engine.cli.main import execute
from tests.cli.project import SUMMARY, Project

MORE = "the newest 1; there are more: `quell incidents list --limit N`"


def asked(project: Project, *words: str) -> int:
    return execute(["incidents", *words, "--data", str(project.data)])


@pytest.mark.parametrize(
    ("columns", "heading", "title"),
    [
        pytest.param("80", "incident  sev  status  phase", "The OpenAI-com", id="80"),
        pytest.param("160", "incident  sev  status  phase", SUMMARY[:50], id="160"),
        pytest.param("", "incident  sev  status  phase", SUMMARY, id="a-pipe"),
    ],
)
def test_the_list_fits_the_terminal(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    stopped: Project,
    columns: str,
    heading: str,
    title: str,
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert asked(stopped) == 0
    first, newest, oldest = capsys.readouterr().out.splitlines()
    assert first.startswith(heading)
    assert ("rule" in first) == (columns != "80")
    assert newest.split()[:4] == ["INC-2", "P3", "open", "idle"]
    assert oldest.split()[:5] == ["INC-1", "P1", "open", "awaiting", "approval"]
    assert title in oldest
    assert "\x1b" not in newest
    if columns:
        assert max(map(len, (first, newest, oldest))) <= int(columns)


def test_a_running_engine_and_its_folder_tell_the_same(
    capsys: pytest.CaptureFixture[str], running: Project, stopped: Project
) -> None:
    found = []
    for project in (running, stopped):
        assert asked(project, "list", "--json") == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]
    assert [each["name"] for each in found[0]["incidents"]] == ["INC-2", "INC-1"]
    assert found[0]["next_cursor"] is None


@pytest.mark.parametrize("words", [["list"], ["show", "INC-1"]], ids=["list", "show"])
def test_who_asks_where_no_engine_runs_is_told_so(
    capsys: pytest.CaptureFixture[str], running: Project, stopped: Project, words: list[str]
) -> None:
    assert asked(running, *words) == 0
    assert capsys.readouterr().err == ""
    assert asked(stopped, *words) == 0
    left = f"no engine runs on {str(stopped.data)!r}: this is how it was left\n"
    assert capsys.readouterr().err == left
    assert asked(stopped, *words, "--json") == 0
    assert capsys.readouterr().err == "", "a program reads both together"


@pytest.mark.parametrize("place", ["running", "stopped"])
@pytest.mark.parametrize(
    ("words", "names"),
    [
        pytest.param(["--severity", "P1"], ["INC-1"], id="severity"),
        pytest.param(["--status", "closed"], [], id="status"),
        pytest.param(["--service", "llm-70b"], ["INC-1"], id="service"),
        pytest.param(["--limit", "1"], ["INC-2"], id="limit"),
    ],
)
def test_the_list_can_be_narrowed(
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
    place: str,
    words: list[str],
    names: list[str],
) -> None:
    project: Project = request.getfixturevalue(place)
    assert asked(project, "list", *words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("INC-")] == names
    assert (lines == ["no incidents"]) == (not names)
    assert (lines[-1] == MORE) == (words[0] == "--limit")


def test_the_story_shows_plan_and_what_to_decide(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    assert asked(stopped, "show", "INC-1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("INC-1  P1  open  The OpenAI-compatible endpoint")
    assert "            restart  gpu-07$ sudo systemctl restart vllm" in lines
    assert lines[-1] == "decide: quell approve INC-1, or quell reject INC-1"
    assert max(map(len, lines)) <= 80


def test_the_story_as_json_holds_every_entry(
    capsys: pytest.CaptureFixture[str], running: Project
) -> None:
    assert asked(running, "show", "INC-1", "--json") == 0
    story = json.loads(capsys.readouterr().out)
    kinds = [each["kind"].split("@")[0] for each in story["timeline"]]
    assert kinds[0] == "incident.opened"
    assert kinds[-1] == "approval.requested"


@pytest.mark.parametrize("place", ["running", "stopped"])
def test_what_is_not_there_is_told(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest, place: str
) -> None:
    assert asked(request.getfixturevalue(place), "show", "INC-9") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "there is no incident 'INC-9'; `quell incidents` lists them\n"


@pytest.mark.parametrize("place", ["running", "stopped"])
def test_what_no_rule_took_comes_with_the_verb_that_drafts_a_rule(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest, place: str
) -> None:
    project: Project = request.getfixturevalue(place)
    assert asked(project, "--unmatched") == 0
    name, where, command = capsys.readouterr().out.splitlines()
    assert name == "DoorOpen"
    assert where.startswith("  once, ")
    assert where.endswith(" ago in INC-2, gateway-of-the-data-centre-frankfurt")
    assert command == f"  quell new rule --from INC-2 --data {project.data}"


def test_what_no_rule_took_as_json(capsys: pytest.CaptureFixture[str], stopped: Project) -> None:
    assert asked(stopped, "list", "--unmatched", "--json", "--limit", "1") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["untold"] == 0
    (found,) = told["unmatched"]
    assert (found["name"], found["alerts"], found["incident"]) == ("DoorOpen", 1, "INC-2")


def test_unmatched_is_told_within_the_filters(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    assert asked(stopped, "list", "--unmatched", "--severity", "P1") == 0
    assert capsys.readouterr().out == "a rule took every alert of these incidents\n"
    assert asked(stopped, "list", "--unmatched", "--limit", "1") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == MORE
    assert execute(["incidents", "--unmatched", "show", "INC-1"]) == 2
