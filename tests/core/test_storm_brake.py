"""How many services within a time are a storm, and what a person reads of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from engine.core.conditions import GroupState
from engine.core.incident import Incident
from engine.core.severity import Mode
from engine.core.storm_brake import (
    STORM_BRAKE,
    CheckedBrake,
    asks_in_storm,
    storm,
    storm_alert,
    struck,
)
from engine.core.switches import Switch
from tests.doubles.fixed_clock import NOW
from tests.doubles.runs import an_incident

BRAKE = CheckedBrake(30, 2, timedelta(minutes=5))
SERVICES = ("a", "b", "c", "d")


def opened(service: str, after_s: float = 0.0) -> Incident:
    return replace(an_incident(), service=service, opened_at=NOW + timedelta(seconds=after_s))


def told(*incidents: Incident) -> str:
    return storm(BRAKE, struck(BRAKE, GroupState(STORM_BRAKE), incidents, 4), SERVICES)


@pytest.mark.parametrize(
    ("known", "at_least"),
    [
        pytest.param(0, 2, id="no inventory: the number alone"),
        pytest.param(6, 2, id="the share is less than the number"),
        pytest.param(7, 3, id="the share is rounded up"),
        pytest.param(100, 30, id="the share of many"),
    ],
)
def test_it_takes_so_many_services_and_such_a_share(known: int, at_least: int) -> None:
    assert BRAKE.at_least(known) == at_least


@pytest.mark.parametrize(
    ("incidents", "is_storm"),
    [
        pytest.param([opened("a"), opened("b", 300)], True, id="two within the time"),
        pytest.param([opened("a"), opened("b", 301)], False, id="too far apart"),
        pytest.param([opened("a"), opened("a", 9)], False, id="one service twice"),
        pytest.param([opened("a"), opened("")], False, id="of no service"),
        pytest.param([opened("a"), opened("quell")], False, id="what quell says of itself"),
        pytest.param([opened("a"), opened("b", 301), opened("c", 302)], True, id="the latest two"),
    ],
)
def test_services_within_a_time_are_a_storm(incidents: list[Incident], is_storm: bool) -> None:
    assert bool(told(*incidents)) is is_storm


def test_a_storm_names_some_of_its_services() -> None:
    wide = CheckedBrake(0, 7, timedelta(minutes=5))
    state = struck(wide, GroupState(STORM_BRAKE), [opened(f"s{n}") for n in range(7)], 0)
    assert storm(wide, state, ()) == (
        "incidents opened on 7 services within 5m: s0, s1, s2, s3, s4 and 2 more"
    )


def test_only_a_run_that_would_ask_nobody_is_braked() -> None:
    on = Switch(STORM_BRAKE, "engine", "x", NOW)
    assert asks_in_storm(None, Mode.AUTO) == ""
    assert asks_in_storm(on, Mode.APPROVE) == ""
    why = asks_in_storm(on, Mode.AUTO)
    assert why.startswith(f"the storm brake is on since {NOW:%Y-%m-%d %H:%M:%S} UTC (x); ")


def test_the_alert_of_the_brake_says_what_to_do() -> None:
    alert = storm_alert(Switch(STORM_BRAKE, "engine", "x", NOW), NOW)
    assert alert.annotations["summary"] == "the storm brake is on: x"
    assert "quell brake lift" in alert.annotations["description"]
