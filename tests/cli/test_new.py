"""From an alert to a rule that is tested: what is written, and what is refused."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import execute
from tests.cli.project import Project

OPEN = {
    "status": "firing",
    "labels": {"alertname": "DoorOpen", "service": "gw", "severity": "critical", "pod": "gw-1"},
    "annotations": {"summary": "The door of 'gw' is \"open\""},
    "startsAt": "2026-03-01T11:00:00Z",
}
NOISY = {**OPEN, "labels": {"alertname": "FanNoisy", "service": "gw"}}
DOWN = {**OPEN, "labels": {"alertname": "LLMEndpointDown", "service": "llm-70b"}}
OBSERVING = """\
language: 1
rules:
  - id: any-of-gw
    description: What the gateway has
    matchers: ['service="gw"']
    severity: P1
    mode: observe
"""


def new_rule(project: Project, *words: str, alerts: Any = (OPEN,)) -> int:
    path = project.folder / "alert.json"
    path.write_text(json.dumps({"alerts": list(alerts)}))
    return execute(["new", "rule", "--from", str(path), "--config", str(project.config), *words])


def holds(project: Project) -> bool:
    """Whether check and the new test pass."""
    config = ["--config", str(project.config)]
    test = project.folder / "rules" / "door-open.test.yaml"
    return execute(["check", *config]) == 0 and execute(["test", str(test), *config]) == 0


def test_the_rule_and_its_test_hold_as_they_are_written(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    assert new_rule(project) == 0
    out, err = capsys.readouterr()
    folder = project.folder / "rules"
    assert out.splitlines()[:2] == [
        f"wrote {folder / 'door-open.yaml'}",
        f"wrote {folder / 'door-open.test.yaml'}",
    ]
    assert out.splitlines()[2].endswith(
        f"then: quell test {folder / 'door-open.test.yaml'} --config {project.config}"
    )
    assert err == ""
    assert holds(project)
    assert "1 of 1 tests are as expected" in capsys.readouterr().out
    alert = str(project.folder / "alert.json")
    assert execute(["explain", alert, "--config", str(project.config), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["alerts"]
    assert (found["rule"], found["severity"], found["mode"]) == ("door-open", "P2", "suggest")


def test_the_test_fails_once_the_rule_takes_another_alert(project: Project) -> None:
    assert new_rule(project) == 0
    path = project.folder / "rules" / "door-open.yaml"
    path.write_text(path.read_text().replace("DoorOpen", "DoorShut"))
    assert not holds(project)


def test_nothing_is_overwritten(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    path = project.folder / "rules" / "door-open.test.yaml"
    path.write_text("language: 1\ntests: []\n")
    assert new_rule(project) == 2
    assert f"{path} is there already; choose another id" in capsys.readouterr().err
    assert path.read_text() == "language: 1\ntests: []\n"
    assert not (project.folder / "rules" / "door-open.yaml").exists()


def test_it_can_be_printed_instead(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    assert new_rule(project, "--print", "--id", "a-door") == 0
    out = capsys.readouterr().out
    assert out.startswith("# a-door.yaml\nlanguage: 1\nrules:\n  - id: a-door\n")
    assert "# a-door.test.yaml\nlanguage: 1\ntests:\n" in out
    assert [path.name for path in (project.folder / "rules").iterdir()] == ["llm.yaml"]


def test_without_an_alert_it_is_a_skeleton_that_holds(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    config = ["--config", str(project.config)]
    assert execute(["new", "rule", "--id", "door-open", *config]) == 0
    assert holds(project)
    text = (project.folder / "rules" / "door-open.yaml").read_text()
    assert "# What else a rule may have (docs/rules.md)" in text


def test_an_earlier_rule_that_takes_the_alert_is_named(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    assert new_rule(project, "--id", "z", alerts=[DOWN]) == 2
    assert (
        "rule 'endpoint-down' of rules/llm.yaml takes this alert already, and is asked before "
        "rules/z.yaml; change that rule, or choose an --id that sorts before it"
    ) in capsys.readouterr().err
    assert not (project.folder / "rules" / "z.yaml").exists()
    assert new_rule(project, "--id", "door-open", alerts=[DOWN]) == 0
    assert holds(project)


@pytest.mark.parametrize("file", ["a.yaml", "z.yaml"])
def test_a_rule_that_observes_before_it_is_expected_too(project: Project, file: str) -> None:
    (project.folder / "rules" / file).write_text(OBSERVING)
    assert new_rule(project) == 0
    test = (project.folder / "rules" / "door-open.test.yaml").read_text()
    assert ("any-of-gw" in test) == (file == "a.yaml")
    assert holds(project)


@pytest.mark.parametrize("rule_id", ["endpoint-down", "quell-stalled"])
def test_an_id_is_taken_once(
    capsys: pytest.CaptureFixture[str], project: Project, rule_id: str
) -> None:
    assert new_rule(project, "--id", rule_id) == 2
    assert f"has a rule {rule_id!r} already; choose another --id" in capsys.readouterr().err


def test_standard_input_is_read_as_its_source_sends_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps([OPEN]).encode()  # as Prometheus posts
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(body)))
    assert execute(["new", "rule", "--from", "-", "--config", str(project.config)]) == 0
    assert holds(project)


def test_of_several_names_one_is_chosen(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    assert new_rule(project, alerts=[OPEN, NOISY]) == 2
    assert "choose one with --alert: DoorOpen, FanNoisy" in capsys.readouterr().err
    assert new_rule(project, "--alert", "Doors", alerts=[OPEN, NOISY]) == 2
    assert "no alert 'Doors' in it, only DoorOpen, FanNoisy" in capsys.readouterr().err
    assert new_rule(project, "--alert", "DoorOpen", alerts=[OPEN, NOISY]) == 0
    assert holds(project)


@pytest.mark.parametrize("place", ["running", "stopped"])
def test_an_incident_gives_its_alert(
    request: pytest.FixtureRequest, project: Project, place: str
) -> None:
    there: Project = request.getfixturevalue(place)
    words = ["--config", str(project.config), "--data", str(there.data)]
    assert execute(["new", "rule", "--from", "INC-2", *words]) == 0
    test = (project.folder / "rules" / "door-open.test.yaml").read_text()
    assert "service: gateway-of-the-data-centre-frankfurt" in test
    assert "since five minutes" in test
    assert holds(project)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--from", "no.json"], "there is no file 'no.json'"),
        (["--from", "INC-9", "--data", "nowhere"], "there is no folder 'nowhere'"),
        (["--id", "Not An Id"], "'Not An Id' is no id"),
        (
            ["--from", "empty.json"],
            "there is no alert in it that source 'alertmanager' understands",
        ),
        (["--from", "nameless.json"], "alertname: the alert has none"),
        (["--from", "foreign.json"], "no id follows from the name '高'"),
        (["--rules", "empty.json"], "'empty.json' is no folder"),
        (["--rules", "empty.json/rules"], "empty.json/rules can't be made: Not a directory"),
        (["--alert", "DoorOpen"], "--alert says which of --from, so both are needed"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_what_cannot_be_used_is_told(
    capsys: pytest.CaptureFixture[str], project: Project, words: list[str], told: str
) -> None:
    Path("empty.json").write_text('{"alerts": []}')
    Path("nameless.json").write_text('{"alerts": [{"status": "firing", "labels": {"a": "b"}}]}')
    foreign = {"status": "firing", "labels": {"alertname": "高"}}
    Path("foreign.json").write_text(json.dumps({"alerts": [foreign]}))
    config = [] if "--rules" in words else ["--config", str(project.config)]
    assert execute(["new", "rule", *words, *config]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_a_folder_of_rules_has_to_be_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["new", "rule"]) == 2
    assert "write `rules_dir: rules` into quell.yaml" in capsys.readouterr().err
    assert execute(["new", "rule", "--rules", "rules"]) == 0
    assert sorted(path.name for path in Path("rules").iterdir()) == [
        "my-alert.test.yaml",
        "my-alert.yaml",
    ]
