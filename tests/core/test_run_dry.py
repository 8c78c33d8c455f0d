"""A dry run looks at what stands before the first change, and tells what would come next."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engine.core import events
from engine.core.guards import Refusal
from engine.core.incident import BY_HAND
from engine.core.inventory import Inventory
from engine.core.run import GuardLook, Look, RunState, created
from engine.core.run_commands import Read, Record
from engine.core.run_dry import is_dry, look_only
from engine.core.run_world import World
from engine.core.severity import DRY_RUN, Mode
from tests.doubles.runs import START, a_plan, a_playbook, a_step, an_incident
from tests.doubles.runs import created as run_created

PLAYBOOK = replace(a_playbook(), guard_reads=(a_step("standby", "guards"),))
PLAN = a_plan(PLAYBOOK)
HELD = Refusal("lock", "INC-7 works on gpu-07", waits=True)
SPENT = Refusal("budget", "5 runs of restart in 1h", waits=False)


def a_world() -> World:
    by_hand = replace(an_incident(), rule_id=BY_HAND)
    return World(START, by_hand, PLAYBOOK, Inventory())


def dry() -> RunState:
    state = created(run_created("observe"), START)
    return replace(state, mode_decided_by=DRY_RUN.decided_by)


def looked(*, holds: bool) -> RunState:
    return replace(
        dry(),
        precheck={"serves": Look(START, holds)},
        guard_looks={"standby": GuardLook(START, {}, "")},
    )


def test_only_what_a_person_ordered_is_a_dry_run() -> None:
    assert is_dry(dry(), a_world())
    assert not is_dry(replace(dry(), mode=Mode.APPROVE), a_world())
    assert not is_dry(dry(), replace(a_world(), incident=an_incident()))


def test_each_look_is_made_once_however_old_it_becomes() -> None:
    first = look_only(dry(), PLAN, a_world())
    assert isinstance(first, Read)
    assert (first.step.id, first.phase) == ("standby", "guards")
    seen = replace(dry(), guard_looks={"standby": GuardLook(START, {}, "")})
    second = look_only(seen, PLAN, a_world())
    assert isinstance(second, Read)
    assert (second.step.id, second.phase) == ("serves", "precheck")
    assert isinstance(
        look_only(looked(holds=False), PLAN, replace(a_world(), now=START + timedelta(hours=1))),
        Record,
    )


@pytest.mark.parametrize(
    ("state", "changes", "says"),
    [
        pytest.param(looked(holds=False), {}, "it would ask role:oncall to approve", id="asks"),
        pytest.param(
            looked(holds=False),
            {"asks": "it is the third time"},
            "it would ask role:oncall to approve, because it is the third time",
            id="asks because of a guard",
        ),
        pytest.param(
            looked(holds=False),
            {"refusal": HELD},
            "it would wait now: INC-7 works on gpu-07",
            id="waits",
        ),
        pytest.param(
            looked(holds=False),
            {"refusal": SPENT},
            "it would be skipped now: 5 runs of restart in 1h",
            id="skipped",
        ),
        pytest.param(
            looked(holds=True),
            {"refusal": HELD},
            "it would do nothing, because the verification holds already",
            id="well already",
        ),
        pytest.param(
            replace(looked(holds=False), mode_decided_by="policy"),
            {},
            "it would change nothing either, as policy says",
            id="never changes anything",
        ),
    ],
)
def test_the_end_says_what_would_come_next(
    state: RunState, changes: dict[str, Any], says: str
) -> None:
    command = look_only(state, PLAN, replace(a_world(), **changes))
    assert isinstance(command, Record)
    end = command.event
    assert isinstance(end, events.RunEnded)
    assert (end.outcome, end.changed, end.by_guard) == ("skipped", False, "")
    assert end.reason == f"dry run, nothing was changed; {says}"


def test_a_plan_without_a_step_would_do_nothing() -> None:
    only_looks = PLAN.model_copy(update={"steps": PLAN.of("verify", "guards")})
    command = look_only(looked(holds=False), only_looks, a_world())
    assert isinstance(command, Record)
    assert isinstance(command.event, events.RunEnded)
    assert command.event.reason.endswith("there is no step that it would do")
