"""What may go ahead: a P1 that comes to the same whatever stands in front of it."""

from pathlib import Path

import pytest
from msgspec import structs

from engine.core.alert import Alert
from engine.core.catalog import Catalog
from engine.core.incident import correlation_key
from engine.core.looking_ahead import Ahead, InOrder, at_a_glance, standing, subject_of
from engine.core.records import Glance, Tick, encode_alert, glance
from tests.doubles.declarations import firing
from tests.doubles.written import a_catalog

RULES = """language: 1
rules:
  - {id: observed, description: O, matchers: [tier="gold"], severity: P1, mode: observe}
  - id: down
    description: D
    matchers: ['alertname="Down"']
    severity: [{when: 'alert.environment == "staging"', is: P1}, {is: P3}]
    group_by: [service]
  - {id: patient, description: P, matchers: ['alertname="Slow"'], severity: P1, for: 1m}
  - {id: region, description: R, matchers: ['alertname="RegionDown"'], severity: P1}
  - id: held
    description: H
    matchers: ['alertname="Held"']
    severity: P3
    inhibited_by: {matchers: ['alertname="RegionDown"'], equal: [region]}
  - {id: any, description: A, matchers: ['alertname=~"Down|Hot"', 'also="1"'], severity: P4,
     window: {at_least: 2, within: 5m}, mode: observe}
  - {id: hot, description: T, matchers: ['alertname="Hot"'], severity: P1, continue: true}
"""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    folder: Path = tmp_path_factory.mktemp("catalog")
    return a_catalog(folder, RULES).active


def seen(alert: Alert) -> Glance:
    found = glance(encode_alert(alert))
    assert isinstance(found, Glance)
    return found


@pytest.mark.parametrize(
    ("name", "labels", "outcome"),
    [
        pytest.param("Down", {"service": "llm"}, "ahead", id="the inventory makes it a P1"),
        pytest.param("Down", {"service": "other"}, "not a P1", id="its case says P3"),
        pytest.param("Held", {}, "not a P1", id="no rule ever says P1"),
        pytest.param("Unknown", {}, "not a P1", id="no rule takes it"),
        pytest.param("Unknown", {"tier": "gold"}, "ahead", id="a rule that observes"),
        pytest.param("Slow", {}, "has conditions", id="its rule waits"),
        pytest.param("Hot", {"also": "1"}, "has conditions", id="another rule counts it"),
        pytest.param("Hot", {}, "ahead", id="its rule continues"),
        pytest.param("RegionDown", {}, "holds others back", id="it inhibits"),
    ],
)
def test_only_a_p1_that_depends_on_nothing_else_goes_ahead(
    catalog: Catalog, name: str, labels: dict[str, str], outcome: InOrder | str
) -> None:
    alert = firing(name, severity_hint="", **labels)
    found = at_a_glance(seen(alert), catalog.rules) or standing(alert, catalog)
    assert ("ahead" if isinstance(found, Ahead) else found) == outcome


def test_it_tells_the_incidents_that_it_would_join(catalog: Catalog) -> None:
    found = standing(firing("Down", service="llm", tier="gold"), catalog)
    assert found == Ahead(
        (
            correlation_key("observed", {"service": "llm"}),
            correlation_key("down", {"service": "llm"}),
        ),
        acts=False,
    )


def test_what_ends_something_keeps_its_place(catalog: Catalog) -> None:
    ended = structs.replace(firing("Down"), status="resolved")
    assert at_a_glance(seen(ended), catalog.rules) == "resolves"


@pytest.mark.parametrize(("name", "why"), [("Held", "not a P1"), ("Down", None)])
def test_a_glance_is_enough_where_no_rule_ever_says_p1(
    catalog: Catalog, name: str, why: InOrder | None
) -> None:
    assert at_a_glance(seen(firing(name)), catalog.rules) == why


@pytest.mark.parametrize(
    ("subject", "about"),
    [("abc", "abc"), ("abc/P1", "abc"), ("abc/def/again", "abc")],
)
def test_a_tick_is_about_what_its_timer_was_set_for(subject: str, about: str) -> None:
    alert = firing("Down")
    assert subject_of(seen(alert)) == alert.fingerprint
    assert subject_of(Tick("incident_age", subject, alert.received_at)) == about
