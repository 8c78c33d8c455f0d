"""docs/sources/grafana.md: its samples agree with each other, and every setting is on it."""

import re
from pathlib import Path

import yaml

from connectors.sources.grafana import GrafanaApiConfig, GrafanaConfig

PAGE = Path(__file__).parents[4] / "docs" / "sources" / "grafana.md"
TEXT = PAGE.read_text()


def sample_of(name: str) -> str:
    [sample] = re.findall(rf"```yaml\n# {name}\n(.*?)```", TEXT, re.DOTALL)
    return str(sample)


def test_contact_point_and_source_say_the_same() -> None:
    [(name, settings)] = yaml.safe_load(sample_of("quell.yaml"))["sources"].items()
    assert settings.pop("uses") == "grafana"
    config = GrafanaConfig.model_validate({"name": name, **settings})
    [point] = yaml.safe_load(sample_of("provisioning/alerting/quell.yaml"))["contactPoints"]
    [receiver] = point["receivers"]
    assert config.hmac is not None
    assert config.hmac.timestamp_header == receiver["settings"]["hmacConfig"]["timestampHeader"]
    assert receiver["settings"]["url"].endswith(f"/v1/alerts/{config.name}")
    assert receiver["disableResolveMessage"] is False


def test_every_setting_is_on_the_page() -> None:
    for setting in GrafanaConfig.model_fields:
        assert f"| `{setting}` |" in TEXT, setting
    for setting in GrafanaApiConfig.model_fields:
        assert f"`api.{setting}`" in TEXT, setting
