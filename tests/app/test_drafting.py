"""A draft fits the project it goes into."""

from pathlib import Path

import pytest

from engine.app.drafting import draft
from engine.catalog.drafts import Example
from engine.errors import ConfigError
from engine.settings import load_settings
from tests.cli.project import Project

OBSERVING = """\
language: 1
rules:
  - id: of-inference
    description: What the inventory gives to the team
    when: alert.team == "inference"
    severity: P1
    mode: observe
"""


def test_rules_see_the_alert_as_the_inventory_completes_it(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write()
    (tmp_path / "rules" / "a.yaml").write_text(OBSERVING)
    loaded = load_settings(project.config, {})
    of_team = Example("alertmanager", {"alertname": "FanNoisy", "instance": "gpu-7"})
    assert "rule: of-inference, severity: P1, mode: observe" in draft(loaded, "b", [of_team]).test
    of_nobody = Example("alertmanager", {"alertname": "FanNoisy", "instance": "gpu-8"})
    assert "of-inference" not in draft(loaded, "b", [of_nobody]).test


def test_a_rule_that_would_be_asked_behind_the_draft_is_told(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write()
    loaded = load_settings(project.config, {})
    down = Example("alertmanager", {"alertname": "LLMEndpointDown", "service": "llm-70b"})
    note = draft(loaded, "a-draft", [down]).note
    assert note.startswith("rule 'endpoint-down' of rules/")
    assert note.endswith("narrow the `matchers`")
    other = Example("alertmanager", {"alertname": "FanNoisy", "service": "llm-70b"})
    assert draft(loaded, "a-draft", [other]).note == ""


def test_mistakes_of_the_project_are_told_first(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write()
    (tmp_path / "rules" / "a.yaml").write_text("language: 2\n")
    with pytest.raises(ConfigError, match=r"a\.yaml:1:11"):
        draft(load_settings(project.config, {}), "b", [])
