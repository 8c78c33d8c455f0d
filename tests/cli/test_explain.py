"""What would become of an alert, on the terminal and for programs."""

import io
import json
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from engine.cli.main import execute
from tests.cli.project import Project

DOWN = {
    "status": "firing",
    "labels": {"alertname": "LLMEndpointDown", "service": "llm-70b", "instance": "gpu-7"},
    "startsAt": "2026-03-01T11:00:00Z",
}


def explain(project: Project, *words: str, payload: Any = None) -> int:
    path = project.folder / "alert.json"
    path.write_text(json.dumps({"alerts": [payload or DOWN]}))
    return execute(["explain", str(path), "--config", str(project.config), *words])


def test_who_takes_it_why_and_what_that_starts(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    assert explain(project) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == [
        "LLMEndpointDown from alertmanager",
        "  service  llm-70b",
        "  target  gpu-07",
        "  environment  staging",
        "  team  inference",
    ]
    words = " ".join(" ".join(lines).split())
    assert 'endpoint-down takes: matched alertname="LLMEndpointDown"; P1;' in words
    assert "approve, decided by rule endpoint-down" in words
    assert "not reached: it would, but endpoint-down comes first" in words
    assert "group service=llm-70b" in words
    assert "restart gpu-07$ sudo systemctl restart vllm" in words
    assert "lock no other run is at work on gpu-07; else it waits, 30m at most" in words
    # It would be a rule's run: what may have caused the alert is looked for, too.
    assert "caused by no other change of any of gpu-07, llm-70b within 30m before the" in words


def test_the_mode_is_the_one_that_a_run_would_have(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    (rules,) = (project.folder / "rules").glob("*.yaml")
    rules.write_text(rules.read_text().replace("mode: approve", "mode: auto"))
    (project.folder / "policy.yaml").write_text(
        "language: 1\nlimits: {changes: {per: service, max: 1, within: 15m}}\n"
    )
    project.config.write_text(project.config.read_text() + "policy: policy.yaml\n")
    assert explain(project, "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["alerts"]
    assert (found["mode"], found["mode_decided_by"]) == (
        "approve",
        "playbook restart-llm (max_mode)",
    )
    assert (found["investigation"], found["holes"]) == ([], [])
    assert [each["guard"] for each in found["guards"]][:2] == ["lock", "changes"]


def test_a_rule_that_differs_says_on_which_value(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    other: Mapping[str, Any] = {**DOWN, "labels": {**DOWN["labels"], "alertname": "FanNoisy"}}  # type: ignore[dict-item]
    assert explain(project, "--json", payload=other) == 0
    (found,) = json.loads(capsys.readouterr().out)["alerts"]
    of = {each["rule"]: each for each in found["rules"]}
    assert of["endpoint-down"]["reasons"] == ["alertname=\"LLMEndpointDown\" fails on 'FanNoisy'"]
    assert (found["rule"], found["severity"], found["plan"]) == ("unmatched", "P3", None)
    assert found["no_plan"] == "rule unmatched starts no playbook"
    assert (found["plan_hash"], found["investigation"], found["guards"]) == ("", [], [])


def test_a_plan_that_cannot_be_made_says_why(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    strange = {**DOWN, "labels": {"alertname": "LLMEndpointDown", "instance": "elsewhere"}}
    assert explain(project, payload=strange) == 0
    assert "no plan: playbook restart-llm can't start: host:" in capsys.readouterr().out


def test_it_takes_what_normalize_prints(
    capsys: pytest.CaptureFixture[str], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project.folder / "alert.json"
    body = json.dumps({"alerts": [DOWN]}).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(body)))
    assert execute(["normalize", "--config", str(project.config)]) == 0
    path.write_text(capsys.readouterr().out)
    assert execute(["explain", str(path), "--config", str(project.config), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["alerts"]
    assert (found["rule"], found["mode"]) == ("endpoint-down", "approve")
    assert len(found["plan_hash"]) == 64


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not JSON"),
        ('{"alerts": [{"status": "firing", "labels": {"a": 1}}]}', "alerts[0].labels.a"),
        ('{"alerts": 1}', "alerts"),
    ],
)
def test_what_cannot_be_understood_is_told(
    capsys: pytest.CaptureFixture[str], project: Project, text: str, told: str
) -> None:
    path = project.folder / "alert.json"
    path.write_text(text)
    assert execute(["explain", str(path), "--config", str(project.config)]) == 1
    assert told in capsys.readouterr().err


def test_a_file_that_is_not_there_is_a_mistake_of_usage(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    assert execute(["explain", "no.json", "--config", str(project.config)]) == 2
    assert "there is no file 'no.json'" in capsys.readouterr().err
