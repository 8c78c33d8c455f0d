"""Who changed something near a run's targets lately, and what a person reads of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engine.core.documents import InventoryDocument
from engine.core.guards import OUTSIDE, Guard, Reservation, first_refusal, guards_of
from engine.core.incident import BY_HAND
from engine.core.inventory import build_inventory
from engine.core.mistakes import Mistakes
from engine.core.policy_documents import Limits
from engine.core.recent_changes import (
    OutsideChange,
    caused_by,
    nearby,
    others_at_work,
    rows_of,
    silenced_at_work,
)
from engine.core.silences import Silence
from tests.doubles.runs import START, a_plan, a_playbook, an_incident

INVENTORY = build_inventory(
    InventoryDocument.model_validate(
        {
            "language": 1,
            "targets": {
                "host": {"kind": "host", "service": "llm", "aliases": ["host:9100"]},
                "gw": {"kind": "host", "service": "gateway"},
            },
            "services": {"llm": {"depends_on": ["gateway"]}, "gateway": {}, "web": {}},
        }
    ),
    Mistakes(),
)
# It changes `host`, by the playbook `restart` and the rule `rule`.
PLAN = a_plan(a_playbook())
MINUTE = timedelta(minutes=1)
NOW = START + 20 * MINUTE
INCIDENT = replace(an_incident(), opened_at=START + 15 * MINUTE)
OTHER = Reservation(
    run_id="other",
    target="host",
    playbook_id="patch",
    rule_id="patches",
    service="llm",
    incident_id="i2",
    incident="INC-2",
    taken_at=START,
    released_at=START + 10 * MINUTE,
    outcome="succeeded",
)


def reserved(*rows: Reservation) -> Any:
    def among(guard: Guard) -> Sequence[Reservation]:
        return [r for r in rows if all(getattr(r, column) == v for column, v in guard.among)]

    return among


def work(*rows: Reservation, within: str = "30m") -> str:
    plan = PLAN.model_copy(update={"guards": {"others_at_work": {"within": within}}})
    near = nearby(plan, ["llm"], INVENTORY)
    return others_at_work(near, plan, INCIDENT, reserved(*rows), NOW)


def cause(*rows: Reservation, by_hand: bool = False) -> str:
    incident = replace(INCIDENT, rule_id=BY_HAND) if by_hand else INCIDENT
    return caused_by(nearby(PLAN, ["llm"], INVENTORY), PLAN, incident, reserved(*rows), NOW)


def test_who_changed_a_target_lately_is_named() -> None:
    assert work(OTHER) == (
        "host was changed by patch until 00:10:00 UTC (INC-2), less than 30m ago"
    )
    by_person = replace(OTHER, playbook_id="restart", rule_id=BY_HAND)
    assert work(by_person).startswith("host was changed by a person's run of restart until ")


@pytest.mark.parametrize(
    ("row", "within", "asks"),
    [
        pytest.param(OTHER, "30m", True, id="another playbook"),
        pytest.param(OTHER, "10m", False, id="as long ago as is asked for"),
        pytest.param(OTHER, "0s", False, id="turned off"),
        pytest.param(replace(OTHER, playbook_id="restart"), "30m", False, id="its own runs"),
        pytest.param(
            replace(OTHER, playbook_id="restart", outcome=""), "30m", True, id="a lock let go of"
        ),
        pytest.param(replace(OTHER, incident_id="incident"), "30m", False, id="its own incident"),
        pytest.param(replace(OTHER, released_at=None, outcome=""), "30m", False, id="locked"),
        pytest.param(replace(OTHER, target="gw"), "30m", False, id="another target"),
    ],
)
def test_others_are_at_work_where_somebody_else_changed_a_target_lately(
    row: Reservation, within: str, asks: bool
) -> None:
    assert bool(work(row, within=within)) is asks


def test_what_may_have_caused_an_incident_is_named() -> None:
    assert cause(replace(OTHER, target="gw", service="gateway")) == (
        "it began after patch changed gw (INC-2, 00:00:00 UTC), which may have caused it"
    )


@pytest.mark.parametrize(
    ("row", "asks"),
    [
        pytest.param(OTHER, True, id="the same target"),
        pytest.param(replace(OTHER, target="b"), True, id="its service"),
        pytest.param(replace(OTHER, target="gw", service="gateway"), True, id="what it needs"),
        pytest.param(replace(OTHER, target="w", service="web"), False, id="another service"),
        pytest.param(
            replace(OTHER, target="b", playbook_id="restart", rule_id="rule"),
            True,
            id="the same rule elsewhere",
        ),
        pytest.param(replace(OTHER, rule_id="rule"), False, id="the same alert once more"),
        pytest.param(replace(OTHER, incident_id="incident"), False, id="its own incident"),
        pytest.param(
            replace(OTHER, taken_at=START + 15 * MINUTE), False, id="it began before the change"
        ),
        pytest.param(replace(OTHER, released_at=None, outcome=""), True, id="under way"),
        pytest.param(
            replace(OTHER, taken_at=START - MINUTE, released_at=NOW - 30 * MINUTE),
            False,
            id="long ago",
        ),
    ],
)
def test_what_began_after_a_change_nearby_may_follow_from_it(row: Reservation, asks: bool) -> None:
    assert bool(cause(row)) is asks
    assert cause(row, by_hand=True) == ""


def told(
    *targets: str, services: tuple[str, ...] = (), after: timedelta = 10 * MINUTE
) -> tuple[Reservation, ...]:
    change = OutsideChange("terraform apply", targets, services)
    return rows_of(change, INVENTORY, actor="token:ci", at=START + after)


def test_what_somebody_else_changed_is_a_row_for_each_place_and_over() -> None:
    rows = told("host", "gw", services=("llm", "web"))
    assert [(each.target, each.service) for each in rows] == [
        ("host", "llm"),
        ("gw", "gateway"),
        ("", "llm"),
        ("", "web"),
    ]
    assert len({(each.run_id, each.target) for each in rows}) == len(rows)
    assert {(each.taken_at, each.released_at) for each in rows} == {
        (START + 10 * MINUTE, START + 10 * MINUTE)
    }
    assert {each.outcome for each in rows} == {OUTSIDE}
    again = told("host", after=11 * MINUTE)
    assert again[0].run_id != rows[0].run_id, "told twice, it happened twice"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        pytest.param(
            told("host"),
            "host was changed by terraform apply until 00:10:00 UTC (token:ci), less than 30m ago",
            id="the target",
        ),
        pytest.param(
            told(services=("llm",)),
            "llm was changed by terraform apply until 00:10:00 UTC (token:ci), less than 30m ago",
            id="its service as a whole",
        ),
        pytest.param(
            [replace(each, playbook_id="restart") for each in told("host")],
            "host was changed by restart until 00:10:00 UTC (token:ci), less than 30m ago",
            id="by the name of the playbook itself",
        ),
        pytest.param(told("gw"), "", id="another target"),
        pytest.param(told(services=("gateway",)), "", id="a service that its own needs"),
        pytest.param(told("host", after=-10 * MINUTE), "", id="long ago"),
    ],
)
def test_somebody_else_is_at_work_who_told_of_it(rows: Sequence[Reservation], words: str) -> None:
    assert work(*rows) == words


def test_a_run_whose_target_nobody_knows_did_not_change_a_whole_service() -> None:
    assert work(replace(OTHER, target="")) == ""


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        pytest.param(
            told("gw"), "terraform apply changed gw (token:ci, 00:10:00 UTC)", id="a target"
        ),
        pytest.param(
            told(services=("gateway",)),
            "terraform apply changed gateway (token:ci, 00:10:00 UTC)",
            id="a service",
        ),
        pytest.param(told(services=("web",)), "", id="one that has nothing to do with it"),
        pytest.param(told("host", after=15 * MINUTE), "", id="after it began"),
        pytest.param(told("host", after=-10 * MINUTE), "", id="long before"),
    ],
)
def test_what_somebody_else_changed_may_have_caused_it(
    rows: Sequence[Reservation], words: str
) -> None:
    found = cause(*rows)
    assert found == (f"it began after {words}, which may have caused it" if words else "")


def test_no_other_guard_counts_what_is_no_run() -> None:
    each = {"runs": 1, "within": "1h"}
    guards = {
        "lock": {"per": "service"},
        "concurrency": {"max": 1, "per": "service"},
        "breaker": {"failures": 1},
        "cooldown": {"for": "1h", "per": "target"},
        "recurrence": {"times": 2, "within": "1d"},
    }
    limits = Limits.model_validate({"changes": {"max": 1, "within": "1h", "per": "target"}})
    named = [replace(row, playbook_id="restart") for row in told("host", services=("llm",))]
    for budget in ({**each, "per": "overall"}, {**each, "per": "target"}):
        plan = PLAN.model_copy(update={"guards": {**guards, "budget": budget}})
        found = guards_of(plan, "rule", ["llm"], limits)
        assert len({guard.name for guard in found}) == 7
        assert first_refusal(found, reserved(*named), plan.run_id, NOW) is None
        run = [replace(row, outcome="succeeded") for row in named]
        assert first_refusal(found, reserved(*run), plan.run_id, NOW) is not None


def silence(*matchers: str, ends_in: timedelta = MINUTE) -> Silence:
    return Silence("s1", matchers, START, NOW + ends_in, "slack:T1/U1", "new driver")


@pytest.mark.parametrize(
    ("given", "asks"),
    [
        pytest.param(silence('target="host"'), True, id="by its id"),
        pytest.param(silence('alertname="x"', 'instance="host:9100"'), True, id="by an alias"),
        pytest.param(silence('target="host"', ends_in=-29 * MINUTE), True, id="over lately"),
        pytest.param(silence('target="host"', ends_in=-30 * MINUTE), False, id="long over"),
        pytest.param(silence('target="gw"'), False, id="another target"),
        pytest.param(silence('target!="host"', 'a="b"'), False, id="all but it"),
        pytest.param(silence('service="llm"'), False, id="names no target"),
        pytest.param(
            replace(silence('target="host"'), starts_at=NOW + MINUTE), False, id="not yet"
        ),
    ],
)
def test_a_silence_that_names_a_target_says_that_somebody_is_there(
    given: Silence, asks: bool
) -> None:
    near = nearby(PLAN, ["llm"], INVENTORY)
    told = silenced_at_work(near, PLAN, [given], INVENTORY, NOW)
    assert bool(told) is asks
    if asks:
        assert told.startswith("somebody is at work on host: slack:T1/U1 silenced ")
        assert told.endswith(" UTC (new driver)")
