"""How many of a group may be unavailable, and what counts as that."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engine.core.blast_radius import (
    Availability,
    Radius,
    allowed,
    availability_of,
    first_excess,
    radii_of,
)
from engine.core.documents import InventoryDocument
from engine.core.guards import Guard, Refusal, Reservation
from engine.core.inventory import Inventory, build_inventory
from engine.core.mistakes import Mistakes
from engine.core.plan import Plan
from engine.core.policy_documents import NO_LIMITS, Limits
from engine.core.run import GuardLook
from tests.doubles.runs import START, a_plan, a_playbook

HELD = Reservation(
    run_id="other",
    target="b",
    playbook_id="drain",
    rule_id="rule",
    service="llm",
    incident_id="i2",
    incident="INC-2",
    taken_at=START,
)


def fleet(**members: Sequence[str]) -> Inventory:
    """Hosts by their service."""
    targets = {
        each: {"kind": "host", "service": service}
        for service, names in members.items()
        for each in names
    }
    document = {"language": 1, "targets": targets, "services": {each: {} for each in members}}
    return build_inventory(InventoryDocument.model_validate(document), Mistakes())


FLEET = fleet(llm=["host", "b", "c", "d"], web=["w1", "w2"])


def plan(max_unavailable: int | str | None = None, group: str = "llm") -> Plan:
    """It changes `host`."""
    guards: dict[str, Any] = {}
    if max_unavailable is not None:
        guards = {"blast_radius": {"group": group, "max_unavailable": max_unavailable}}
    return a_plan(a_playbook()).model_copy(update={"guards": guards})


def excess(
    of: Plan,
    *held: Reservation,
    firing: Mapping[str, str] | None = None,
    limits: Limits = NO_LIMITS,
) -> Refusal | None:
    def among(guard: Guard) -> Sequence[Reservation]:
        return [r for r in held if all(getattr(r, column) == v for column, v in guard.among)]

    return first_excess(
        radii_of(of, FLEET, limits), of.run_id, of.changed_targets, among, lambda: firing or {}
    )


@pytest.mark.parametrize(
    ("share", "size", "at_most"),
    [
        pytest.param(1, 4, 1, id="a number"),
        pytest.param(0, 4, 0, id="none at all"),
        pytest.param("2", 4, 2, id="a number as a text"),
        pytest.param("50%", 7, 4, id="a share is rounded up, as Kubernetes does"),
        pytest.param("10%", 3, 1, id="of a small group one"),
        pytest.param("10%", 30, 3, id="to the point"),
        pytest.param("10%", 31, 4, id="and above"),
        pytest.param("0%", 30, 0, id="nothing of it"),
        pytest.param("100%", 30, 30, id="all of it"),
    ],
)
def test_how_many_may_be_unavailable(share: int | str, size: int, at_most: int) -> None:
    assert allowed(share, size) == at_most


ONE_MORE = replace(HELD, run_id="third", target="c")
OTHERS = {"b": "INC-5", "c": "INC-5"}


@pytest.mark.parametrize(
    ("of", "held", "firing", "refused"),
    [
        pytest.param(plan(), [HELD], OTHERS, False, id="without one nothing is counted"),
        pytest.param(plan(1), [], {}, False, id="its own target"),
        pytest.param(plan(1), [], {"host": "INC-1"}, False, id="it counts once, though it is down"),
        pytest.param(plan(0), [], {}, True, id="0 lets nothing pass"),
        pytest.param(plan(1), [], {"b": "INC-5"}, True, id="another one fires"),
        pytest.param(plan(1), [], {"w1": "INC-5"}, False, id="it is of another service"),
        pytest.param(plan(1), [HELD], {}, True, id="another one is touched"),
        pytest.param(plan(2), [HELD], {}, False, id="two may"),
        pytest.param(plan(2), [HELD], {"b": "INC-5"}, False, id="touched and firing is one"),
        pytest.param(plan(2), [HELD, ONE_MORE], {}, True, id="two touched and its own"),
        pytest.param(plan("50%"), [HELD], {}, False, id="half of four"),
        pytest.param(plan("50%"), [HELD, ONE_MORE], {}, True, id="more than half of four"),
        pytest.param(plan(1), [replace(HELD, target="")], {}, True, id="unknown counts"),
        pytest.param(
            plan(1),
            [replace(HELD, released_at=START + timedelta(seconds=1))],
            {},
            False,
            id="let go of",
        ),
        pytest.param(plan(1), [replace(HELD, run_id="run")], {}, False, id="its own reservation"),
        pytest.param(plan(4, "nothing"), [], {}, True, id="a group that nobody knows"),
    ],
)
def test_what_exceeds_the_radius(
    of: Plan, held: Sequence[Reservation], firing: Mapping[str, str], refused: bool
) -> None:
    found = excess(of, *held, firing=firing)
    assert (found is not None) == refused


def test_people_read_what_is_unavailable_and_why() -> None:
    found = excess(plan(1), HELD, firing={"c": "INC-5"})
    assert found is not None
    assert (found.guard, found.waits) == ("blast_radius", True)
    assert found.reason == (
        "3 of 4 of llm would be unavailable, and 1 may: "
        "b (the run of INC-2 is at work), c (fires in INC-5)"
    )


def test_policy_bounds_the_whole_fleet() -> None:
    limits = Limits(fleet_unavailable="20%")
    assert excess(plan(), firing={"w1": "INC-5"}, limits=limits) is None, "2 of 6 are 20%, up"
    found = excess(plan(), firing={"w1": "INC-5", "w2": "INC-6"}, limits=limits)
    assert found is not None
    assert found.reason == (
        "3 of 6 of the fleet would be unavailable, and 2 may: "
        "w1 (fires in INC-5), w2 (fires in INC-6)"
    )


def test_where_too_much_fires_to_tell_all_of_it_counts_as_unavailable() -> None:
    of = plan(4)
    radii = radii_of(of, FLEET, NO_LIMITS)
    found = first_excess(radii, of.run_id, of.changed_targets, lambda _: [], lambda: None)
    assert found is not None
    assert found.reason == "too much fires at once to tell what of llm is available"


def test_runs_of_one_group_have_the_rows_that_they_lock_in_common() -> None:
    radii: Sequence[Radius] = radii_of(plan(1), FLEET, Limits(fleet_unavailable="10%"))
    assert [each.guard.key for each in radii] == ["service=llm", "every run"]


UP = {"host": 0, "b": 0, "c": 0, "d": 0}


def told(samples: Mapping[str, float | None], error: str = "") -> Availability:
    values: list[Any] = [
        {"labels": {"instance": name} if name else {}, "value": value}
        for name, value in samples.items()
    ]
    return availability_of(GuardLook(START, {"values": values}, error), FLEET)


def excess_by_query(
    available: Availability, *held: Reservation, max_unavailable: int = 1
) -> Refusal | None:
    radius = {"group": "llm", "max_unavailable": max_unavailable, "unavailable": {"query": "x"}}
    of = plan().model_copy(update={"guards": {"blast_radius": radius}})
    radii, touches = radii_of(of, FLEET, NO_LIMITS), of.changed_targets
    return first_excess(radii, of.run_id, touches, lambda _: list(held), dict, available)


@pytest.mark.parametrize(
    ("samples", "most", "refused"),
    [
        pytest.param(UP, 1, False, id="all others are available"),
        pytest.param({**UP, "host": 1}, 1, False, id="it counts once, though it is down"),
        pytest.param({**UP, "b": 1}, 1, True, id="another one is down"),
        pytest.param({**UP, "b": 1}, 2, False, id="two may"),
        pytest.param({**UP, "b": None}, 1, True, id="no number"),
        pytest.param({"host": 0, "b": 0, "c": 0}, 1, True, id="one without a sample"),
        pytest.param({}, 3, True, id="no sample at all"),
        pytest.param({**UP, "elsewhere": 1}, 1, True, id="a target that nobody knows"),
        pytest.param({**UP, "": 2}, 1, True, id="a number that names nobody"),
        pytest.param({**UP, "w1": 1}, 1, False, id="of another service"),
    ],
)
def test_what_a_query_says_counts_and_what_it_does_not_say_is_unavailable(
    samples: Mapping[str, float | None], most: int, refused: bool
) -> None:
    assert (excess_by_query(told(samples), max_unavailable=most) is not None) == refused


def test_what_a_query_says_and_what_runs_touch_count_together() -> None:
    found = excess_by_query(told({**UP, "c": 1}), HELD, max_unavailable=2)
    assert found is not None
    assert found.reason == (
        "3 of 4 of llm would be unavailable, and 2 may: "
        "b (the run of INC-2 is at work), c (by Prometheus)"
    )


def test_where_a_query_fails_nobody_can_tell() -> None:
    for available in (told(UP, error="no answer"), availability_of(None, FLEET)):
        found = excess_by_query(available, max_unavailable=4)
        assert found is not None
        assert found.reason.startswith("nobody can tell what of llm is available: Prometheus ")
        assert found.waits
