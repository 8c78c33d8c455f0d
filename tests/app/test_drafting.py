"""A draft fits the project it goes into."""

from pathlib import Path

import pytest

from engine.app.configured import catalog_sources
from engine.app.drafting import draft, draft_playbook
from engine.app.rehearsing import declared_actions
from engine.catalog import load_catalog
from engine.catalog.drafts import Example
from engine.errors import ConfigError
from engine.settings import LoadedSettings, load_settings
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


def broken(folder: Path) -> LoadedSettings:
    """Rules, a playbook and a test have mistakes, and the overlay is of a rule that is none."""
    project = Project(folder)
    project.write()
    (folder / "rules" / "a.yaml").write_text(OBSERVING.replace("alert.team", "alert.tema"))
    (folder / "rules" / "llm.yaml").write_text("language: 2\n")
    (folder / "rules" / "llm.test.yaml").write_text("language: 1\ntest: []\n")
    playbook = folder / "playbooks" / "restart-llm.yaml"
    playbook.write_text(playbook.read_text().replace("ssh.run", "ssh.rum"))
    overlay = "rules: {endpoint-down: {mode: observe}}\n"
    project.config.write_text(project.config.read_text() + overlay)
    return load_settings(project.config, {})


def test_mistakes_in_other_files_are_told_and_keep_nothing_from_being_drafted(
    tmp_path: Path,
) -> None:
    loaded = broken(tmp_path)
    noisy = Example("alertmanager", {"alertname": "FanNoisy", "service": "llm-70b"})
    for made in (draft(loaded, "b", [noisy]), draft_playbook(loaded, "b", ())):
        assert {Path(each.file).name for each in made.mistakes} == {
            "a.yaml",
            "llm.yaml",
            "llm.test.yaml",
            "restart-llm.yaml",
            "quell.yaml",
        }
    (tmp_path / "rules" / "b.yaml").write_text(draft(loaded, "b", [noisy]).text)
    with pytest.raises(ConfigError) as refused:
        load_catalog(catalog_sources(loaded), declared_actions())
    assert list(refused.value.findings) == list(made.mistakes)


@pytest.mark.parametrize("what", ["rule", "playbook"])
def test_an_id_that_a_file_with_a_mistake_has_is_taken(tmp_path: Path, what: str) -> None:
    loaded = broken(tmp_path)
    with pytest.raises(ConfigError, match=r"is already in .*; each is written once"):
        if what == "rule":
            draft(loaded, "of-inference", [])
        else:
            draft_playbook(loaded, "restart-llm", ())


def test_nothing_is_drafted_from_an_inventory_with_mistakes(tmp_path: Path) -> None:
    loaded = broken(tmp_path)
    (tmp_path / "inventory.yaml").write_text("language: 2\n")
    with pytest.raises(ConfigError, match=r"inventory\.yaml:1:11") as refused:
        draft(loaded, "b", [])
    assert len(refused.value.findings) == 1
