"""Which other runs stand in the way, for how long, and the sentence that says so."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.guards import (
    TAKES_BACK,
    Guard,
    Refusal,
    Reservation,
    first_refusal,
    guards_of,
    reservations_of,
)
from engine.core.plan import Plan
from engine.core.policy_documents import NO_LIMITS, Limits
from tests.doubles.runs import RUN, START, a_plan, a_playbook, an_incident

NOW = START + timedelta(hours=2)
TAKEN = Reservation(
    run_id="other",
    target="host",
    playbook_id="restart",
    rule_id="rule",
    service="llm",
    incident_id="i2",
    incident="INC-2",
    taken_at=NOW - timedelta(minutes=10),
)


def released(minutes_ago: float, **changes: Any) -> Reservation:
    return replace(TAKEN, released_at=NOW - timedelta(minutes=minutes_ago), **changes)


def plan(**guards: Mapping[str, Any]) -> Plan:
    return a_plan(a_playbook()).model_copy(update={"guards": guards})


def limits(**words: Any) -> Limits:
    return Limits.model_validate({"changes": words})


def refusal(of: Plan, *reserved: Reservation, limits: Limits = NO_LIMITS) -> Refusal | None:
    """As a store answers: each guard gets the rows that are equal in its columns."""

    def among(guard: Guard) -> Sequence[Reservation]:
        return [r for r in reserved if all(getattr(r, column) == v for column, v in guard.among)]

    return first_refusal(guards_of(of, "rule", ["llm"], limits), among, RUN, NOW)


COOLDOWN = {"cooldown": {"for": "15m", "per": "target"}}
BUDGET = {"budget": {"runs": 2, "within": "1h", "per": "playbook"}}
BREAKER = {"breaker": {"failures": 2, "per": "playbook"}}
RECURRENCE = {"recurrence": {"times": 3, "within": "1d"}}


def failed(minutes_ago: float, run_id: str, outcome: str = "failed") -> Reservation:
    return released(minutes_ago, run_id=run_id, target="b", outcome=outcome)


FAILED = (failed(6, "1"),)
EXCUSED = failed(5, "1", "excused")
TOOK_BACK = failed(5, "2", TAKES_BACK)
TAKING_BACK = replace(TAKEN, target="b", outcome=TAKES_BACK)


@pytest.mark.parametrize(
    ("guards", "reserved", "guard"),
    [
        pytest.param({}, [TAKEN], "lock", id="a target that another run holds"),
        pytest.param({}, [replace(TAKEN, target="b")], None, id="another target is free"),
        pytest.param({}, [released(0)], None, id="a lock that was let go"),
        pytest.param({}, [replace(TAKEN, run_id=RUN)], None, id="a run is not in its own way"),
        pytest.param(
            {}, [replace(TAKEN, playbook_id="drain")], "lock", id="whatever the other run does"
        ),
        pytest.param(COOLDOWN, [released(14.9)], "cooldown", id="it has not cooled down"),
        pytest.param(COOLDOWN, [released(15)], None, id="it has cooled down to the second"),
        pytest.param(
            COOLDOWN,
            [replace(released(14), taken_at=NOW - timedelta(hours=1))],
            "cooldown",
            id="a cooldown counts from the end",
        ),
        pytest.param(
            COOLDOWN, [released(1, playbook_id="drain")], None, id="another playbook's run"
        ),
        pytest.param(COOLDOWN, [released(1, target="b")], None, id="another target's cooldown"),
        pytest.param(
            {"cooldown": {"for": "15m", "per": "playbook"}},
            [released(1, target="b")],
            "cooldown",
            id="a cooldown of the whole playbook",
        ),
        pytest.param(
            {"cooldown": {"for": "15m", "per": "rule"}},
            [released(1, rule_id="slow")],
            None,
            id="a cooldown per rule: another rule's",
        ),
        pytest.param(
            {"cooldown": {"for": "15m", "per": "playbook"}},
            [replace(TAKEN, target="b")],
            "cooldown",
            id="what is under way has not cooled down",
        ),
        pytest.param(BUDGET, [released(1, target="b")], None, id="one of two was used"),
        pytest.param(
            BUDGET,
            [released(1, target="b"), released(2, target="b", run_id="third")],
            "budget",
            id="both were used",
        ),
        pytest.param(
            BUDGET,
            [released(1, target="b"), released(1, target="c")],
            None,
            id="one run with two targets is one",
        ),
        pytest.param(
            BUDGET,
            [
                released(1, target="b"),
                released(2, target="b", run_id="third", taken_at=NOW - timedelta(hours=1)),
            ],
            None,
            id="a budget counts from the beginning, to the second",
        ),
        pytest.param(
            {"budget": {"runs": 1, "within": "1h", "per": "overall"}},
            [released(1, playbook_id="drain", target="b", rule_id="slow")],
            "budget",
            id="a budget over all playbooks",
        ),
        pytest.param(
            {"budget": {"runs": 1, "within": "1h", "per": "target"}},
            [released(1, target="b")],
            None,
            id="a budget of each target",
        ),
        pytest.param(
            {"concurrency": {"max": 1}}, [replace(TAKEN, target="b")], "concurrency", id="one runs"
        ),
        pytest.param(
            {"concurrency": {"max": 2}}, [replace(TAKEN, target="b")], None, id="one of two runs"
        ),
        pytest.param(
            {"concurrency": {"max": 1}},
            [released(0, target="b")],
            None,
            id="concurrency: what ended does not count",
        ),
        pytest.param(
            {"concurrency": {"max": 1, "per": "service"}},
            [replace(TAKEN, target="b", playbook_id="drain")],
            "concurrency",
            id="whatever runs on the service",
        ),
        pytest.param(BREAKER, [failed(5, "1")], None, id="one failure of two"),
        pytest.param(BREAKER, [failed(5, "1"), failed(4, "2")], "breaker", id="two in a row"),
        pytest.param(
            BREAKER,
            [failed(5, "1", "partial"), failed(4, "2", "unknown")],
            "breaker",
            id="whatever left it unproven",
        ),
        pytest.param(
            BREAKER,
            [failed(6, "1"), failed(5, "2", "succeeded"), failed(4, "3")],
            None,
            id="a success in between ends the row",
        ),
        pytest.param(
            BREAKER,
            [failed(6, "1"), failed(5, "2", "cancelled"), failed(4, "3")],
            "breaker",
            id="who was cancelled proved nothing",
        ),
        pytest.param(
            BREAKER, [*FAILED, TOOK_BACK, failed(4, "3")], "breaker", id="nor taking back"
        ),
        pytest.param(BREAKER, [*FAILED, TOOK_BACK], None, id="taking back is no failure"),
        pytest.param(BREAKER, [EXCUSED, failed(4, "2", "excused")], None, id="one may try"),
        pytest.param(BREAKER, [EXCUSED, replace(TAKEN, target="b")], "breaker", id="and one only"),
        pytest.param(BREAKER, [EXCUSED, TAKING_BACK], None, id="taking back is no try"),
        pytest.param(BREAKER, [EXCUSED, failed(4, "2")], "breaker", id="it failed too"),
        pytest.param(BREAKER, [EXCUSED, failed(4, "2", "succeeded")], None, id="it helped"),
        pytest.param(
            {"breaker": {"failures": 1, "per": "target"}},
            [failed(5, "1")],
            None,
            id="it failed on another target",
        ),
        pytest.param(
            RECURRENCE,
            [released(60, run_id="2")],
            None,
            id="the second time in a day",
        ),
        pytest.param(
            RECURRENCE,
            [
                released(500, run_id="1", taken_at=NOW - timedelta(hours=9)),
                released(60, run_id="2", taken_at=NOW - timedelta(hours=1)),
            ],
            "recurrence",
            id="the third time in a day",
        ),
    ],
)
def test_what_stands_in_the_way(
    guards: Mapping[str, Any], reserved: Sequence[Reservation], guard: str | None
) -> None:
    found = refusal(plan(**guards), *reserved)
    assert (found.guard if found else None) == guard


@pytest.mark.parametrize(
    ("guards", "reserved", "reason", "waits"),
    [
        ({}, [TAKEN], "host is locked by the run of INC-2", True),
        (
            COOLDOWN,
            [released(5)],
            "restart on host ended at 01:55:00 UTC (INC-2), and cools down for 15m",
            False,
        ),
        (
            {"cooldown": {"for": "90s", "per": "playbook"}},
            [replace(TAKEN, target="b")],
            "restart is under way (INC-2), and cools down for 1m30s",
            False,
        ),
        (
            {"budget": {"runs": 1, "within": "1d", "per": "target"}},
            [released(5)],
            "restart on host may run 1 times within 1d, and did",
            False,
        ),
        (
            {"budget": {"runs": 1, "within": "1d", "per": "overall"}},
            [released(5)],
            "all playbooks together may run 1 times within 1d, and did",
            False,
        ),
        (
            {"concurrency": {"max": 1, "per": "service"}},
            [replace(TAKEN, target="b")],
            "all playbooks together on llm may run 1 at once, and does (INC-2)",
            True,
        ),
        (
            BREAKER,
            [failed(5, "1"), failed(4, "2")],
            "the last 2 runs of restart did not help; `quell breaker try restart` lets one more "
            "run try",
            False,
        ),
        (
            BREAKER,
            [failed(5, "1", "excused"), failed(4, "2")],
            "the run that was let try restart failed too; `quell breaker try restart` lets one "
            "more run try",
            False,
        ),
        (
            BREAKER,
            [failed(5, "1", "excused"), replace(TAKEN, target="b")],
            "the run of INC-2 tries restart after failures",
            True,
        ),
        (
            RECURRENCE,
            [released(5, run_id="1"), released(4, run_id="2", incident="INC-3")],
            "restart on host would be for the 3. time within 1d (INC-2, INC-3): it does not last, "
            "so open a ticket for the cause",
            False,
        ),
    ],
)
def test_people_read_why(
    guards: Mapping[str, Any], reserved: Sequence[Reservation], reason: str, waits: bool
) -> None:
    found = refusal(plan(**guards), *reserved)
    assert found is not None
    assert (found.reason, found.waits) == (reason, waits)


@pytest.mark.parametrize(
    ("lock", "other", "reason", "waits"),
    [
        ({}, {"target": "b"}, "", False),
        ({"per": "service"}, {"target": "b"}, "llm is locked by the run of INC-2", True),
        ({"per": "service"}, {"target": "b", "service": "other"}, "", False),
        ({"on_busy": "skip"}, {}, "host is locked by the run of INC-2", False),
    ],
)
def test_a_lock_says_what_is_locked_and_whether_others_wait(
    lock: Mapping[str, Any], other: Mapping[str, Any], reason: str, waits: bool
) -> None:
    found = refusal(plan(lock=lock), replace(TAKEN, **other))
    assert (found.reason if found else "", bool(found and found.waits)) == (reason, waits)


@pytest.mark.parametrize(
    ("words", "other", "refused", "waits"),
    [
        ({"max": 1, "within": "15m"}, {}, True, True),
        ({"max": 2, "within": "15m"}, {}, False, False),
        ({"max": 1, "within": "10m"}, {}, False, False),
        ({"max": 1, "within": "1h"}, {}, True, False),
        ({"max": 1, "within": "15m"}, {"service": "other"}, False, False),
        ({"max": 1, "within": "15m", "per": "target"}, {}, False, False),
        ({"max": 1, "within": "15m", "per": "target"}, {"target": "host"}, True, True),
        ({"max": 1, "within": "15m", "per": "playbook"}, {"playbook_id": "x"}, False, False),
        ({"max": 1, "within": "15m", "per": "overall"}, {"service": "other"}, True, True),
    ],
)
def test_policy_limits_the_changes_of_all_playbooks(
    words: Mapping[str, Any], other: Mapping[str, Any], refused: bool, waits: bool
) -> None:
    """A change 10 minutes ago on another target of the service, by another playbook."""
    known = released(1, **{"target": "b", "playbook_id": "drain", **other})
    found = refusal(plan(), known, limits=limits(**words))
    assert (found is not None, bool(found and found.waits)) == (refused, waits)
    told = r"policy lets (all .+|restart) begin 1 times within \w+, and INC-2 did"
    assert found is None or re.fullmatch(told, found.reason)


def test_only_a_lock_gives_way_by_itself_so_it_is_told_first() -> None:
    assert [guard.name for guard in guards_of(plan(**COOLDOWN, **BUDGET), "rule")] == [
        "lock",
        "cooldown",
        "budget",
    ]


def test_runs_that_a_guard_sets_apart_have_its_key_in_common() -> None:
    one, other = plan(**COOLDOWN, **BUDGET), plan(**BUDGET).model_copy(update={"run_id": "r2"})
    keys = {guard.name: guard.key for guard in guards_of(one, "rule")}
    assert keys == {
        "lock": "target=host",
        "cooldown": "playbook_id=restart,target=host",
        "budget": "playbook_id=restart",
    }
    assert {guard.key for guard in guards_of(other, "slow")} <= set(keys.values())


def test_every_target_of_a_plan_is_reserved_and_one_without_any_all_the_same() -> None:
    def reserved(of: Plan) -> list[tuple[str, datetime]]:
        services = dict.fromkeys(of.changed_targets, "llm")
        taken = reservations_of(of, services, rule_id="rule", incident=an_incident(), at=NOW)
        return [(each.target, each.taken_at) for each in taken]

    found = plan()
    changing, *looks = found.steps
    two = found.model_copy(
        update={"steps": (changing.model_copy(update={"targets": ("b", "a")}), *looks)}
    )
    assert reserved(two) == [("a", NOW), ("b", NOW)]
    none = found.model_copy(update={"steps": (changing.model_copy(update={"targets": ()}), *looks)})
    assert reserved(none) == [("", NOW)]
    assert guards_of(none, "rule") == ()


@given(
    st.lists(
        st.tuples(st.integers(0, 120), st.integers(0, 60), st.sampled_from(["a", "b", "c", RUN])),
        max_size=12,
    ),
    st.integers(1, 4),
    st.integers(1, 120),
)
def test_a_budget_lets_through_exactly_what_a_plain_count_does(
    others: list[tuple[int, int, str]], runs: int, within_m: int
) -> None:
    reserved = [
        replace(
            TAKEN,
            run_id=run_id,
            target=f"t{index}",
            taken_at=NOW - timedelta(minutes=begun),
            released_at=NOW - timedelta(minutes=min(begun, ended)),
        )
        for index, (begun, ended, run_id) in enumerate(others)
    ]
    budget = {"budget": {"runs": runs, "within": f"{within_m}m", "per": "playbook"}}
    counted = {run for begun, _, run in others if run != RUN and begun < within_m}
    assert (refusal(plan(**budget), *reserved) is not None) == (len(counted) >= runs)
