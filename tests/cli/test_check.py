"""All mistakes of a project, in place."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.registry import SOURCES
from engine.cli.main import execute
from engine.ports.known_secrets import KNOWN
from tests.cli.project import Project


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_sound_project_is_praised(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    assert execute(["check", str(project.folder)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("no mistakes in ")
    assert "1 target" in out
    assert execute(["check", str(project.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_what_ships_is_sound_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["check"]) == 0
    assert " and 0 targets" in capsys.readouterr().out


def test_a_secret_that_no_text_can_be_rid_of_is_named(
    capsys: pytest.CaptureFixture[str], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUELL_ACCESS__TOKEN", "hunter2")
    assert execute(["check", str(project.folder)]) == 0
    out = capsys.readouterr().out
    assert "access.token is too short or too plain to be taken out of texts" in out
    assert "hunter2" not in out
    monkeypatch.setenv("QUELL_ACCESS__TOKEN", "hunter2-and-more")
    KNOWN.forget()
    assert execute(["check", str(project.folder)]) == 0
    assert "access.token" not in capsys.readouterr().out


def test_a_projects_parts_that_nothing_names_are_told_as_unread(
    capsys: pytest.CaptureFixture[str], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    project.config.rename("elsewhere.yaml")
    assert execute(["check"]) == 0
    out = capsys.readouterr().out
    assert "not read: rules, playbooks, inventory.yaml; `quell check .` reads this folder" in out
    assert execute(["check", "."]) == 0
    assert execute(["check", "--config", "elsewhere.yaml"]) == 0
    assert "not read" not in capsys.readouterr().out


def test_mistakes_of_all_files_are_told_at_once_as_the_result(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    change(project.folder / "rules/llm.yaml", "severity: P1", "severity: P9")
    change(project.folder / "inventory.yaml", "user: quell", "usr: quell")
    change(project.config, "egress:", "sources: {am: {uses: alertmanger}}\negress:")
    assert execute(["check", str(project.folder)]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    folder = project.folder
    assert lines[0].startswith(f"{folder}/rules/llm.yaml:6:15: 'P9' isn't one of P1, P2, P3, P4")
    assert lines[1:] == [
        f"{folder}/inventory.yaml:5:36: unknown key 'usr', did you mean 'user'?",
        f"{folder}/quell.yaml:5:22: unknown source 'alertmanger', did you mean 'alertmanager'?; "
        f"there is {', '.join(sorted(SOURCES))}",
        "3 mistakes in 3 files",
    ]


AZURE = "aaaa0a0a-bb1b-cc2c-dd3d-eeeeee4e4e4e"
NAMES_A_FILE = {
    "alertmanager": "api: {urls: ['https://am.example'], ca: gone.pem}",
    "grafana": "api: {url: 'https://grafana.example', token: a-token, ca: gone.pem}",
    "cloudwatch": "roots: gone.pem",
    "cloud-monitoring, what it asks with": "credentials_file: gone.pem",
    "cloud-monitoring, whom it asks": "push: {audience: a, email: a@example.com, ca: gone.pem}",
    "azure-monitor, sign-in": f"entra: {{tenant: {AZURE}, audience: a, ca: gone.pem}}",
    "azure-monitor, API": f"api: {{subscriptions: [{AZURE}], ca: gone.pem}}",
}


@pytest.mark.parametrize(("kind", "section"), NAMES_A_FILE.items(), ids=NAMES_A_FILE)
def test_a_source_that_names_a_file_that_is_not_there_is_told_before_it_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str, section: str
) -> None:
    kind = kind.partition(",")[0]
    config = tmp_path / "quell.yaml"
    config.write_text(f"sources:\n  a:\n    uses: {kind}\n    {section}\n")
    assert execute(["check", "--config", str(config)]) == 1
    column = config.read_text().splitlines()[3].index("gone.pem") + 1
    told = f"{config}:4:{column}: names a file that isn't there"
    assert capsys.readouterr().out.splitlines()[0] == told
    (tmp_path / "gone.pem").touch()
    execute(["check", "--config", str(config)])
    assert "isn't there" not in capsys.readouterr().out


ACCOUNT = "{id: '123456789012', regions: [eu-central-1], role_arn: 'arn:aws:iam::%s:role/quell'}"
MISTAKES_OF_SOURCES = {
    "a mapping written out": (
        "{uses: cloudevents, mapping: {name: '\"x\"'}}",
        "2:35: the name of a mapping's file must be here",
    ),
    "a client without its secret": (
        f"{{uses: azure-monitor, api: {{subscriptions: [{AZURE}], sign_in: client_secret}}}}",
        "2:33: a client that signs in needs `tenant`, `client_id` and its secret",
    ),
    "a role of another account": (
        f"{{uses: cloudwatch, aws: [{ACCOUNT % '210987654321'}]}}",
        "2:31: `role_arn` is a role of another account than `id`",
    ),
}


@pytest.mark.parametrize(
    ("source", "told"), MISTAKES_OF_SOURCES.values(), ids=MISTAKES_OF_SOURCES.keys()
)
def test_a_mistake_in_a_source_is_told_with_its_names_and_without_its_values(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, source: str, told: str
) -> None:
    config = tmp_path / "quell.yaml"
    config.write_text(f"sources:\n  a: {source}\n")
    assert execute(["check", "--config", str(config)]) == 1
    assert capsys.readouterr().out.splitlines()[0] == f"{config}:{told}"


def test_a_rule_that_no_alert_reaches_is_a_warning(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    (project.folder / "rules" / "z.yaml").write_text(
        "language: 1\nrules:\n  - id: later\n    description: d\n    severity: P3\n"
        "    matchers: ['alertname=\"LLMEndpointDown\"', 'tier=\"gold\"']\n"
    )
    told = "rule 'later' is never asked: rule 'endpoint-down' of rules/llm.yaml comes first"
    assert execute(["check", "--config", str(project.config)]) == 0
    warning, praise = capsys.readouterr().out.splitlines()
    assert warning.startswith(f"{project.folder / 'rules' / 'z.yaml'}:3:9: {told}")
    assert praise.startswith("no mistakes in ")
    assert execute(["check", "--config", str(project.config), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["level"], found["line"], found["column"]) == ("warning", 3, 9)


def test_findings_are_json_too(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    change(project.config, "rules_dir", "rule_dir")
    assert execute(["check", "--config", str(project.config), "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == [
        {
            "level": "mistake",
            "file": str(project.config),
            "line": 1,
            "column": 1,
            "message": "unknown key 'rule_dir', did you mean 'rules_dir'?",
            "reference": "",
        }
    ]


@pytest.mark.parametrize(
    "paths",
    [
        pytest.param(lambda f: [f / "rules"], id="a-folder-of-rules"),
        pytest.param(lambda f: [f / "rules" / "llm.yaml"], id="one-file-of-them"),
        pytest.param(lambda f: [f, f / "rules" / "llm.yaml"], id="both-count-once"),
    ],
)
def test_parts_of_a_project_are_checked_by_their_place(
    capsys: pytest.CaptureFixture[str], project: Project, paths: Callable[[Path], list[Path]]
) -> None:
    change(project.folder / "rules/llm.yaml", "matchers:", "matcher:")
    named = [str(path) for path in paths(project.folder)]
    assert execute(["check", "--config", str(project.config), *named]) == 1
    assert capsys.readouterr().out.count("unknown key 'matcher'") == 1


def test_a_file_that_could_be_anything_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "some.yaml").write_text("language: 1\n")
    assert execute(["check", "some.yaml"]) == 2
    assert "what is 'some.yaml'? Its place tells" in capsys.readouterr().err
