"""The page about Alertmanager: its samples are what the real programs accept."""

import re
from pathlib import Path

import pytest
import yaml

from connectors.sources.alertmanager import AlertmanagerConfig, FiringApiConfig
from engine.ports.payload import LabelNames
from tests.services.process import program, run

PAGE = Path(__file__).parents[4] / "docs" / "sources" / "alertmanager.md"
CHECKERS = {
    "alertmanager.yml": ("amtool", "check-config"),
    "prometheus.yml": ("promtool", "check", "config"),
}


def sample_of(name: str) -> str:
    [sample] = re.findall(rf"```yaml\n# {name}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(sample)


@pytest.mark.parametrize("name", CHECKERS)
def test_a_sample_is_accepted_by_the_program_that_it_is_for(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(sample_of(name))
    tool, *arguments = CHECKERS[name]
    run([program(tool), *arguments, path])


def test_the_sample_of_quell_s_own_settings_is_a_source() -> None:
    [(name, settings)] = yaml.safe_load(sample_of("quell.yaml"))["sources"].items()
    assert settings.pop("uses") == "alertmanager"
    config = AlertmanagerConfig.model_validate({"name": name, **settings})
    assert (config.name, len(config.bearer)) == ("alertmanager-fra", 1)


def test_every_setting_and_label_is_on_the_page() -> None:
    text = PAGE.read_text()
    for setting in AlertmanagerConfig.model_fields:
        assert f"| `{setting}` |" in text
    for setting in FiringApiConfig.model_fields:
        assert f"`api.{setting}`" in text
    for _, labels in LabelNames():
        assert ", ".join(f"`{label}`" for label in labels) in text
