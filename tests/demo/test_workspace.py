"""The files that the demo writes, as quell reads them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.app import load_connectors
from engine.core.severity import Mode
from engine.demo.hosting import Place, Ready
from engine.demo.workspace import fingerprint, notification, write_workspace
from engine.errors import ConfigError
from engine.settings import LoadedSettings

FIRED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LABELS = {
    "alertname": "LLMEndpointDown",
    "instance": "127.0.0.1:8000",
    "model": "demo-model",
    "service": "demo-llm",
    "severity": "critical",
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "host", Ready(ssh_port=2222, model_port=8000, fingerprint="SHA256:x"))


@pytest.fixture
def loaded(tmp_path: Path, place: Place) -> LoadedSettings:
    return write_workspace(tmp_path, place)


def test_the_rule_is_the_shipped_one_in_mode_approve(loaded: LoadedSettings) -> None:
    catalog = load_connectors(loaded).catalog
    (rule,) = [rule for rule in catalog.rules if rule.id == "vllm-not-answering"]
    assert rule.file == "shipped/rules/vllm-endpoint.yaml"
    assert rule.mode.otherwise is Mode.APPROVE


def test_the_playbook_differs_from_the_shipped_one_in_its_patience_alone(
    loaded: LoadedSettings, tmp_path: Path
) -> None:
    catalog = load_connectors(loaded).catalog
    (verify,) = catalog.playbooks["restart-vllm"].verify
    assert verify.stable_for.total_seconds() == 2
    ours = (tmp_path / "playbooks" / "restart-vllm.yaml").read_text().splitlines()
    shipped = Path("playbooks/restart-vllm.yaml").read_text().splitlines()
    assert set(shipped) - set(ours) == {"    stable_for: 30s"}
    assert set(ours) - set(shipped) == {"    stable_for: 2s", "    every: 1s"}


def test_the_host_is_reached_as_it_says(loaded: LoadedSettings, tmp_path: Path) -> None:
    parts = load_connectors(loaded)
    actions, catalog = parts.actions, parts.catalog
    prepared = actions["ssh.run"].prepare(
        {"host": "demo-host", "command": "restart-unit", "args": {"unit": "vllm"}},
        catalog.estate,
        None,
    )
    assert (prepared.payload["address"], prepared.payload["port"]) == ("127.0.0.1", 2222)
    assert (tmp_path / "inventory.yaml").read_text().count("host/known_hosts") == 1
    asked = actions["llm.complete"].prepare(
        {"target": "demo-host", "model": "demo-model"}, catalog.estate, None
    )
    assert asked.payload["base_url"] == "http://127.0.0.1:8000/v1"


def test_the_demo_is_on_call(loaded: LoadedSettings) -> None:
    assert loaded.settings.roles_of("demo") == {"oncall"}


def test_a_teams_own_systems_are_not_reached(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUELL_STORE__URL", "postgresql://nowhere.example/none")
    monkeypatch.setenv("QUELL_STREAM__USES", "kafka")
    monkeypatch.setenv("QUELL_PEOPLE__SLACK", '{"bot_token": "x"}')
    monkeypatch.setenv("QUELL_RECORDS__JIRA", '{"url": "https://jira.example"}')
    monkeypatch.setenv("QUELL_DATA", "/elsewhere")
    monkeypatch.setenv("QUELL_INVENTORY", "/elsewhere/inventory.yaml")
    settings = write_workspace(tmp_path, place).settings
    assert settings.store.url is None
    assert settings.stream == {"uses": "embedded"}
    assert settings.people.slack is None
    assert settings.records.jira is None
    assert settings.data == tmp_path / "data"
    assert settings.inventory == tmp_path / "inventory.yaml"


def test_a_shipped_playbook_that_changed_is_noticed(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.demo.workspace.SHIPPED_PATIENCE", "    stable_for: 31s\n")
    with pytest.raises(ConfigError, match="stable_for: 31s"):
        write_workspace(tmp_path, place)


def test_the_alert_is_what_an_alertmanager_posts(place: Place) -> None:
    body = notification(place, "demo-model", FIRED)
    assert (body["version"], body["status"], body["truncatedAlerts"]) == ("4", "firing", 0)
    assert body["alerts"] == [
        {
            "status": "firing",
            "labels": LABELS,
            "annotations": {"summary": "demo-model on demo-llm does not answer"},
            "startsAt": "2026-01-02T03:04:05+00:00",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example:9090/graph",
            "fingerprint": fingerprint(LABELS),
        }
    ]


def test_the_resolved_notice_is_of_the_same_alert(place: Place) -> None:
    ended = datetime(2026, 1, 2, 3, 5, tzinfo=UTC)
    body = notification(place, "demo-model", FIRED, ended)
    assert body["status"] == "resolved"
    assert isinstance(body["alerts"], list)
    (alert,) = body["alerts"]
    assert isinstance(alert, dict)
    assert (alert["status"], alert["endsAt"]) == ("resolved", "2026-01-02T03:05:00+00:00")
    assert alert["fingerprint"] == fingerprint(LABELS)


def test_the_fingerprint_is_the_one_of_a_real_alertmanager() -> None:
    assert fingerprint(LABELS) == "6d500590cfe29ccc"  # asked of Alertmanager's own API
