"""The page about Cloud Monitoring: its samples are settings, and it has every setting and label."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from connectors.sources.cloud_monitoring import (
    AlertsApiConfig,
    CloudMonitoringConfig,
    PullConfig,
    PushConfig,
)
from connectors.sources.cloud_monitoring.config import GoogleLabelNames
from connectors.sources.cloud_monitoring.labels import CONDITION_KINDS

PAGE = Path(__file__).parents[4] / "docs" / "sources" / "cloud-monitoring.md"


def sample() -> dict[str, Any]:
    [text] = re.findall(r"```yaml\n# quell.yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    with_secrets = re.sub(r"\$\{env:\w+\}", "s3cret", text)
    return dict(yaml.safe_load(with_secrets)["sources"])


def test_the_sample_of_quell_s_own_settings_is_a_source(tmp_path: Path) -> None:
    [(name, settings)] = sample().items()
    assert settings.pop("uses") == "cloud-monitoring"
    account = tmp_path / settings["credentials_file"]
    account.touch()
    settings["credentials_file"] = account
    config = CloudMonitoringConfig.model_validate({"name": name, **settings})
    assert config.push is not None
    assert (len(config.tokens), len(config.basic), config.push.audience) == (
        1,
        1,
        "https://quell.example/v1/alerts/gcp",
    )


@pytest.mark.parametrize(
    ("model", "prefix"),
    [
        (CloudMonitoringConfig, ""),
        (PushConfig, "push."),
        (PullConfig, "pull."),
        (AlertsApiConfig, "api."),
    ],
)
def test_every_setting_is_on_the_page(model: type[BaseModel], prefix: str) -> None:
    text = PAGE.read_text()
    for setting in model.model_fields:
        assert f"`{prefix}{setting}`" in text


def test_every_label_and_kind_is_on_the_page() -> None:
    text = PAGE.read_text()
    for field, labels in GoogleLabelNames():
        assert field == "severity" or ", ".join(f"`{label}`" for label in labels) in text
    assert ", ".join(f"`{kind}`" for kind in CONDITION_KINDS.values()) in text
