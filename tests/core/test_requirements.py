"""What has to be healthy, and what it means for a run that it isn't."""

from collections.abc import Mapping, Sequence
from typing import Literal

import pytest

from engine.core.documents import InventoryDocument
from engine.core.guards import Refusal
from engine.core.inventory import build_inventory
from engine.core.mistakes import Mistakes
from engine.core.plan import Plan
from engine.core.requirements import unmet
from engine.core.run import GuardLook
from tests.doubles.runs import START, a_plan, a_playbook

INVENTORY = build_inventory(
    InventoryDocument.model_validate(
        {"language": 1, "targets": {"standby": {"kind": "host"}}, "services": {"gateway": {}}}
    ),
    Mistakes(),
)
ILL = {"standby": "INC-5 is open"}
TOLD = "standby has to be healthy, and INC-5 is open"


def plan(otherwise: Literal["ask", "wait", "skip"], *names: str) -> Plan:
    guards = {"requires": {"healthy": list(names), "otherwise": otherwise}}
    return a_plan(a_playbook()).model_copy(update={"guards": guards})


@pytest.mark.parametrize(
    ("otherwise", "found"),
    [
        ("ask", (None, TOLD)),
        ("wait", (Refusal("requires", TOLD, waits=True), "")),
        ("skip", (Refusal("requires", TOLD, waits=False), "")),
    ],
)
def test_what_is_not_healthy_asks_or_stands_in_the_way(
    otherwise: Literal["ask", "wait", "skip"], found: object
) -> None:
    assert unmet(plan(otherwise, "gateway", "standby"), INVENTORY, {}, lambda _: ILL) == found
    assert unmet(plan(otherwise, "gateway"), INVENTORY, {}, lambda _: ILL) == (None, "")


def test_a_plan_that_requires_nothing_looks_at_nothing() -> None:
    def looked(_: Sequence[str]) -> Mapping[str, str]:
        raise AssertionError

    assert unmet(a_plan(a_playbook()), INVENTORY, {}, looked) == (None, "")


def test_what_nobody_can_tell_is_not_healthy() -> None:
    _, why = unmet(plan("ask", "gateway"), INVENTORY, {}, lambda _: None)
    assert why == "too much fires at once to tell whether gateway is healthy"
    _, why = unmet(plan("ask", "gw"), INVENTORY, {}, lambda _: {})
    assert why == "'gw' has to be healthy, and is no service or target of the inventory"


CHECK = {"id": "standby_up", "uses": "lab.look", "until": "result.ok"}


@pytest.mark.parametrize(
    ("look", "why"),
    [
        pytest.param(GuardLook(START, {}, "", holds=True), "", id="it holds"),
        pytest.param(
            GuardLook(START, {}, ""),
            "standby_up has to hold, and does not: result.ok",
            id="it does not",
        ),
        pytest.param(
            GuardLook(START, {}, "no answer"),
            "standby_up has to hold, and does not: result.ok (no answer)",
            id="nobody answers",
        ),
        pytest.param(None, "standby_up has to hold, and does not: result.ok", id="not looked at"),
    ],
)
def test_a_check_has_to_hold(look: GuardLook | None, why: str) -> None:
    of = a_plan(a_playbook()).model_copy(update={"guards": {"requires": {"check": CHECK}}})
    looks = {"standby_up": look} if look is not None else {}
    assert unmet(of, INVENTORY, looks, lambda _: {}) == (None, why)
