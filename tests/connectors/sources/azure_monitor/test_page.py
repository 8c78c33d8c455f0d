"""The page about Azure Monitor: its sample is a source, and no setting or label is missing."""

import re
from pathlib import Path

import yaml

from connectors.sources.azure_monitor import AlertsApiConfig, AzureMonitorConfig, EntraConfig
from connectors.sources.azure_monitor.config import AzureLabelNames, TtlConfig
from connectors.sources.azure_monitor.identities import IDENTITIES
from connectors.sources.azure_monitor.kinds import ENDED_STAGES, LABEL_FIELDS
from tests.services.azure_action_group import APP, DELAYS_S, ROLE

PAGE = (Path(__file__).parents[4] / "docs" / "sources" / "azure-monitor.md").read_text()


def test_the_sample_of_quell_s_own_settings_is_a_source() -> None:
    [sample] = re.findall(r"```yaml\n# quell.yaml\n(.*?)```", PAGE, re.DOTALL)
    [(name, settings)] = yaml.safe_load(sample)["sources"].items()
    assert settings.pop("uses") == "azure-monitor"
    config = AzureMonitorConfig.model_validate({"name": name, **settings})
    assert config.entra is not None
    assert config.api is not None
    assert (config.entra.sender_app, config.entra.role) == (APP, ROLE)


def test_every_setting_is_on_the_page() -> None:
    settings = {f"`{name}`" for name in AzureMonitorConfig.model_fields}
    settings |= {f"`entra.{name}`" for name in EntraConfig.model_fields}
    settings |= {f"`api.{name}`" for name in AlertsApiConfig.model_fields}
    assert {name for name in settings if name not in PAGE} == set()


def test_every_time_to_live_is_on_the_page() -> None:
    for kind, seconds in TtlConfig():
        if kind == "stateless":
            assert f"`ttl_s.stateless` ({seconds:.0f})" in PAGE
            continue
        [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{kind}` |")]
        assert row.endswith(" none |" if seconds is None else f" {seconds:.0f} |")


def test_every_label_and_every_ending_is_on_the_page() -> None:
    for name in LABEL_FIELDS.values():
        assert f"`{name}`" in PAGE
    for _, labels in AzureLabelNames():
        assert ", ".join(f"`{label}`" for label in labels) in PAGE
    for stage in ENDED_STAGES:
        assert re.search(rf"\b{stage}\b", PAGE, re.IGNORECASE)


def test_what_is_left_out_is_on_the_page() -> None:
    told = PAGE.lower()
    unnamed = {"accountsusedonfailedsignintohostattempts"}
    assert {name for name in IDENTITIES if f"`{name}`" not in told} == unnamed


def test_azure_s_delays_are_on_the_page() -> None:
    *first, last = [f"{delay:.0f}" for delay in DELAYS_S]
    assert f"{', '.join(first)}\nand {last} s" in PAGE
