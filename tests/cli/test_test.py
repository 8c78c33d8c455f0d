"""`quell test` on the terminal and for programs."""

import json

import pytest

from engine.cli.main import execute
from tests.cli.project import Project

TESTS = """\
language: 1
tests:
  - name: the endpoint is a P1
    alerts: [{fire: a, labels: {alertname: LLMEndpointDown, service: llm-70b, instance: gpu-7}}]
    expect: [{at: 1m, incidents: [{rule: endpoint-down, severity: %s}]}]
"""


def run(project: Project, severity: str, *words: str) -> int:
    (project.folder / "rules" / "llm.test.yaml").write_text(TESTS % severity)
    return execute(["test", "--config", str(project.config), *words])


def test_all_as_expected(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    assert run(project, "P1") == 0
    assert capsys.readouterr().out == "1 of 1 tests are as expected\n"


def test_what_differs_is_shown_with_its_place(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    assert run(project, "P3") == 1
    name, place, verdict = capsys.readouterr().out.splitlines()
    assert name == "the endpoint is a P1"
    assert place.endswith("llm.test.yaml:5:67: expected P3, it is P1")
    assert verdict == "0 of 1 tests are as expected"


def test_programs_get_every_test(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    assert run(project, "P3", "--json") == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["test"], found["passed"]) == ("the endpoint is a P1", False)
    assert found["findings"] == [{"line": 5, "column": 67, "message": "expected P3, it is P1"}]


def test_a_folder_without_tests_says_how_to_begin(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    assert run(project, "P1", str(project.folder / "playbooks")) == 0
    assert "write one into a file that ends in .test.yaml" in capsys.readouterr().out


def test_a_path_that_is_not_there_is_a_mistake_of_usage(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    assert run(project, "P1", "nowhere") == 2
    assert "there is no file or folder 'nowhere'" in capsys.readouterr().err


def test_coverage_names_what_no_test_reaches(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    assert run(project, "P1", "--coverage") == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 of 1 tests are as expected",
        "playbook restart-llm: 2 of 6 reached",
        "  no test reaches  restart: failed",
        "  no test reaches  restart: unknown",
        "  no test reaches  answers: holds",
        "  no test reaches  ends not needed",
        "rule endpoint-down: 1 of 1 reached",
        "coverage: 42.9 %",
    ]


def test_too_little_coverage_is_a_finding(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    assert run(project, "P1", "--fail-under", "43") == 1
    assert capsys.readouterr().out.endswith("coverage: 42.9 %\nat least 43 % is asked for\n")
    assert run(project, "P1", "--fail-under", "42", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["coverage"]["percent"] == 42.9
    assert [each["passed"] for each in found["tests"]] == [True]
    assert found["coverage"]["parts"][1]["reached"] == ["opens an incident"]
