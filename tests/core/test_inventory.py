from typing import Any

import pytest
from msgspec import structs

from engine.core.alert import Alert
from engine.core.documents import InventoryDocument
from engine.core.inventory import Inventory, build_inventory, enrich
from engine.core.mistakes import Mistakes
from tests.doubles.declarations import firing

DOCUMENT = {
    "language": 1,
    "targets": {
        "gpu-07": {
            "kind": "host",
            "connection": "ssh-fra",
            "service": "llm-70b",
            "aliases": ["gpu-07:9100", "gpu-07:9400"],
        },
        "gw-1": {"kind": "host"},
    },
    "services": {
        "llm-70b": {
            "environment": "production",
            "team": "inference",
            "customer": "acme",
            "depends_on": ["gw-1"],
        }
    },
    "connections": {"ssh-fra": {"uses": "ssh", "user": "quell"}},
}


def built(document: object) -> tuple[Inventory, Mistakes]:
    mistakes = Mistakes()
    return build_inventory(InventoryDocument.model_validate(document), mistakes), mistakes


@pytest.mark.parametrize(
    ("name", "target"),
    [
        pytest.param("gpu-07", "gpu-07", id="its-id"),
        pytest.param("gpu-07:9100", "gpu-07", id="an-alias"),
        pytest.param("gpu-07:9999", "", id="a-label-is-no-address"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_a_target_is_found_only_by_its_id_or_an_alias(name: str, target: str) -> None:
    inventory, mistakes = built(DOCUMENT)
    assert not mistakes.found
    assert inventory.target_id(name) == target


def test_a_target_leads_to_its_service_connection_and_owner() -> None:
    inventory, _ = built(DOCUMENT)
    assert inventory.service_of("gpu-07") == "llm-70b"
    assert inventory.connection_of("gpu-07") == "ssh-fra"
    assert inventory.names_of_kind("host") == ("gpu-07", "gw-1")
    assert inventory.names_of_kind("service") == ()
    assert inventory.facts_of("gpu-07") == {
        "service": "llm-70b",
        "environment": "production",
        "team": "inference",
        "customer": "acme",
        "region": "",
    }
    assert inventory.facts_of("gone")["environment"] == ""


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        pytest.param(
            {"connection": "ssh-fr"}, "connection", "did you mean 'ssh-fra'?", id="connection"
        ),
        pytest.param({"service": "llm-7b"}, "service", "did you mean 'llm-70b'?", id="service"),
        pytest.param({"aliases": ["gpu-07"]}, "aliases", "already means target 'gpu-07'", id="id"),
        pytest.param({"aliases": ["gpu-07:9100"]}, "aliases", "one name, one target", id="alias"),
    ],
)
def test_names_that_lead_nowhere_or_to_two_targets_are_mistakes(
    change: dict[str, object], path: str, message: str
) -> None:
    targets = {**DOCUMENT["targets"], "gw-1": {"kind": "host", **change}}  # type: ignore[dict-item]
    _, mistakes = built({**DOCUMENT, "targets": targets})
    (mistake,) = mistakes.found
    assert mistake.path[:3] == ("targets", "gw-1", path)
    assert message in mistake.message


def test_a_service_that_needs_something_unknown_is_a_mistake() -> None:
    services = {"llm-70b": {"depends_on": ["gw-2"]}}
    _, mistakes = built({**DOCUMENT, "services": services})
    assert [m.message for m in mistakes.found] == [
        "unknown service or target 'gw-2', did you mean 'gw-1'?"
    ]


def test_an_alert_gets_its_target_and_what_the_inventory_knows_of_it() -> None:
    inventory, _ = built(DOCUMENT)
    alert = enrich(firing("Down", instance="gpu-07:9100"), inventory)
    assert (alert.target, alert.service, alert.environment) == ("gpu-07", "llm-70b", "production")
    assert (alert.team, alert.customer) == ("inference", "acme")


def test_a_sender_can_not_write_its_way_out_of_production() -> None:
    inventory, _ = built(DOCUMENT)
    alert = firing("Down", instance="gpu-07:9100", service="llm-70b", environment="staging")
    assert enrich(alert, inventory).environment == "production"


def test_labels_fill_what_the_inventory_leaves_out() -> None:
    inventory, _ = built(DOCUMENT)
    alert = structs.replace(firing("Down", service="other", environment="staging"), region="eu")
    enriched = enrich(alert, inventory)
    assert (enriched.service, enriched.environment) == ("other", "staging")
    assert enriched.region == "eu"


def test_a_target_that_the_inventory_does_not_know_is_no_target() -> None:
    inventory, _ = built(DOCUMENT)
    assert enrich(structs.replace(firing("Down"), target="evil.example"), inventory).target == ""


def test_what_the_inventory_says_nothing_of_stays_as_it_was_sent() -> None:
    values: dict[str, Any] = {each.name: each.name for each in structs.fields(Alert)}
    sent = Alert(**{**values, "labels": {"a": "b"}, "target": "unknown"})
    assert enrich(sent, Inventory()) == structs.replace(sent, target="")
