"""The page of connectors is complete, and naming one wrongly says which there are."""

import pkgutil

import pytest

import connectors
from connectors import registry
from engine.core.egress import EgressConfig
from engine.errors import ConfigError

KINDS = {
    "sources": registry.SOURCES,
    "streams": registry.STREAMS,
    "people": [*registry.NOTIFIERS, "emergency"],
    "records": registry.TRACKERS,
}


@pytest.mark.parametrize("folder", sorted(KINDS))
def test_every_connector_has_its_line(folder: str) -> None:
    path = [f"{root}/{folder}" for root in connectors.__path__]
    named = {kind.replace("-", "_") for kind in KINDS[folder]}
    assert {module.name for module in pkgutil.iter_modules(path)} == named


def test_every_action_is_declared_under_its_own_name() -> None:
    found = registry.declarations()
    assert set(found) == {
        "ssh.read",
        "ssh.run",
        "prometheus.query",
        "llm.complete",
        "http.request",
    }
    assert all(name == declaration.name for name, declaration in found.items())


def test_an_action_gets_the_connections_of_its_own_kind() -> None:
    asked = []

    def connections(kind, model):  # type: ignore[no-untyped-def]
        asked.append((kind, model.__name__))
        return {}

    registry.build_actions(connections, EgressConfig())
    assert asked == [
        ("ssh", "SshConfig"),
        ("prometheus", "PrometheusConfig"),
        ("llm", "LlmConfig"),
    ]


def test_a_misspelt_kind_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'kafka'"):
        registry.find(registry.STREAMS, "kafak", "stream")
