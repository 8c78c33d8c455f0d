"""docs/sources/cloudevents.md: its samples work, and every setting and field is on it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.sources.cloudevents import CloudEventsConfig, CloudEventsSource
from engine.catalog.mappings import read_mapping
from engine.core.alert_mapping import MappingDocument
from engine.ports.body_signatures import HmacConfig
from tests.contracts.source_case import NOW
from tests.doubles.notice_receiver import check

PAGE = Path(__file__).parents[4] / "docs" / "sources" / "cloudevents.md"
TEXT = PAGE.read_text()


def sample(language: str, mark: str = "") -> str:
    blocks = re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    (found,) = [each for each in blocks if mark in each]
    return str(found)


def test_the_notice_is_one() -> None:
    event = json.loads(sample("json"))
    check(event)
    (alert,) = CloudEventsSource(CloudEventsConfig()).parse(event, NOW).alerts
    assert (alert.name, alert.service) == ("ModelCallsFailing", "llm-70b")


def test_the_notice_by_hand_is_one() -> None:
    (written,) = re.findall(r"curl -d '(.*)' http", TEXT)
    check({"time": "2026-03-01T12:00:00Z", **json.loads(written)})
    assert len(CloudEventsSource(CloudEventsConfig()).parse(json.loads(written), NOW).alerts) == 1


@pytest.fixture
def mapped(tmp_path: Path) -> CloudEventsSource:
    path = tmp_path / "statuspage.yaml"
    path.write_text(sample("yaml", "# statuspage.yaml"))
    return CloudEventsSource(CloudEventsConfig(mapping=read_mapping(path)))


def test_the_mapping_reads_what_it_is_for(mapped: CloudEventsSource) -> None:
    """The fields of https://metastatuspage.com/api#incidents."""
    incident = {
        "id": "p31zjtct2jer",
        "name": "Elevated error rates",
        "status": "investigating",
        "impact": "critical",
        "created_at": "2026-03-01T11:00:00.000Z",
        "updated_at": "2026-03-01T11:30:00.000Z",
        "shortlink": "https://stspg.example/p31",
        "components": [{"name": "API"}],
    }
    over = {**incident, "status": "resolved", "components": []}
    body: Any = {"page": {"name": "A provider"}, "incidents": [incident, over, {"impact": "none"}]}
    parsed = mapped.parse(body, NOW)
    assert [each.status for each in parsed.alerts] == ["firing", "resolved"]
    assert len({each.fingerprint for each in parsed.alerts}) == 1
    assert parsed.alerts[0].labels == {"provider": "A provider", "component": "API"}
    assert parsed.alerts[0].severity_hint == "critical"
    assert list(parsed.rejected) == []


def test_the_sample_of_quell_s_own_settings_is_two_sources(tmp_path: Path) -> None:
    (tmp_path / "statuspage.yaml").write_text(sample("yaml", "# statuspage.yaml"))
    context = {"folder": tmp_path, "read_mapping": read_mapping}
    for name, settings in yaml.safe_load(sample("yaml", "# quell.yaml"))["sources"].items():
        assert settings.pop("uses") == "cloudevents"
        config = CloudEventsConfig.model_validate({"name": name, **settings}, context=context)
        assert CloudEventsSource(config).has_credentials


def test_every_setting_and_field_is_on_the_page() -> None:
    for model in (CloudEventsConfig, HmacConfig):
        for setting in model.model_fields:
            assert f"| `{setting}` |" in TEXT, setting
    for field in MappingDocument.model_fields:
        assert field == "language" or f"`{field}`" in TEXT, field
