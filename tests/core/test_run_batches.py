"""Which batch a run comes to next, and which targets are touched while it is done."""

from dataclasses import replace

import pytest

from engine.core.plan import Place, Plan, PlannedStep
from engine.core.run import RunState, StepKey, StepState, fold
from engine.core.run_batches import begins_batch, next_change, touched_by_batch, touched_with
from tests.doubles.runs import RUN, START, a_plan, a_playbook, a_step, created, planned


def item(name: str, batch: int, what: str = "restart") -> PlannedStep:
    place = Place(origin=what, loop="each", item=name, batch=f"each[batch-{batch}]")
    change = planned(a_step(f"{what}[{name}]"))
    return change.model_copy(update={"place": place, "targets": (name,)})


LOOK = planned(a_step("look", "verify")).model_copy(update={"phase": "steps"})
TELL = planned(a_step("tell")).model_copy(update={"targets": ("desk",)})
ITEMS = (item("a", 1), item("b", 2), item("c", 2))


def a_state(*steps: PlannedStep, **ended: StepState) -> tuple[RunState, Plan]:
    """A plan of these steps, and its run in which some of their items ended so."""
    plan = a_plan(a_playbook()).model_copy(update={"steps": steps})
    state = fold(RUN, [(created(), START, "engine")])
    assert state is not None
    known: dict[StepKey, StepState] = {
        ("steps", f"restart[{name}]"): each for name, each in ended.items()
    }
    return replace(state, steps=known), plan


DONE = StepState(outcome="succeeded", attempts=1)
OPEN = StepState(outcome="open", attempts=1)
SKIPPED = StepState(outcome="skipped")
FAILED = StepState(outcome="failed", attempts=1)
UNDONE = StepState(outcome="failed", attempts=1, repeatable=True, excused=1)
UNKNOWN = StepState(outcome="unknown", attempts=1)


@pytest.mark.parametrize(
    ("ended", "step_id", "begins"),
    [
        pytest.param({}, "restart[a]", True, id="the first"),
        pytest.param({"a": DONE}, "restart[b]", True, id="the second"),
        pytest.param({"a": DONE, "b": OPEN}, "restart[c]", False, id="in the midst of one"),
        pytest.param({"a": DONE, "b": SKIPPED}, "restart[c]", True, id="nothing was changed in it"),
        pytest.param({"a": DONE, "b": SKIPPED, "c": SKIPPED}, "tell", False, id="no batch"),
    ],
)
def test_a_batch_begins_with_its_first_change(
    ended: dict[str, StepState], step_id: str, begins: bool
) -> None:
    state, plan = a_state(LOOK, *ITEMS, TELL, **ended)
    step = next_change(state, plan)
    assert step is not None
    assert step.id == step_id
    assert begins_batch(state, plan, step) is begins


def test_after_the_last_change_none_comes() -> None:
    state, plan = a_state(*ITEMS, LOOK, a=DONE, b=DONE, c=FAILED)
    assert next_change(state, plan) is None


@pytest.mark.parametrize(
    ("ended", "touched"),
    [
        pytest.param({}, {"desk", "a"}, id="the first batch, and what is in none"),
        pytest.param({"a": DONE}, {"desk", "b", "c"}, id="the second"),
        pytest.param({"a": FAILED}, {"desk", "a", "b", "c"}, id="and an item that was lost"),
        pytest.param({"a": UNDONE}, {"desk", "a"}, id="one that is attempted again isn't lost"),
        pytest.param({"a": UNKNOWN}, {"desk", "a", "b", "c"}, id="and one of which nobody knows"),
        pytest.param({"a": SKIPPED}, {"desk", "b", "c"}, id="but none that wasn't changed"),
    ],
)
def test_what_comes_next_touches_its_batch(ended: dict[str, StepState], touched: set[str]) -> None:
    state, plan = a_state(*ITEMS, TELL, **ended)
    assert touched_with(state, plan, next_change(state, plan)) == touched


def test_a_change_of_which_no_target_is_known_touches_one() -> None:
    state, plan = a_state(TELL.model_copy(update={"targets": ()}))
    assert touched_with(state, plan, next_change(state, plan)) == {""}


def test_each_batch_touches_its_own_and_what_is_in_none() -> None:
    _, plan = a_state(LOOK, *ITEMS, TELL)
    assert touched_by_batch(plan) == (frozenset({"desk", "a"}), frozenset({"desk", "b", "c"}))
    no_batch = plan.model_copy(update={"steps": (LOOK, TELL)})
    assert touched_by_batch(no_batch) == (frozenset({"desk"}),)
    nothing = plan.model_copy(update={"steps": (LOOK,)})
    assert touched_by_batch(nothing) == (frozenset({""}),)


BALANCER = planned(a_step("take_out")).model_copy(update={"targets": ("lb",), "affects": ("a",)})
RETURN = planned(a_step("put_in")).model_copy(update={"targets": ("lb",), "affects": ()})
UNKNOWN_TARGET = planned(a_step("call")).model_copy(update={"targets": ()})


@pytest.mark.parametrize(
    ("steps", "touched", "changed"),
    [
        pytest.param([BALANCER], {"a"}, ("a", "lb"), id="another target"),
        pytest.param([BALANCER, TELL], {"a", "desk"}, ("a", "desk", "lb"), id="beside others"),
        pytest.param([RETURN], set(), ("lb",), id="none"),
        pytest.param([RETURN, UNKNOWN_TARGET], {"lb"}, ("lb",), id="none, and one nobody knows"),
        pytest.param([UNKNOWN_TARGET], {""}, ("",), id="nobody knows"),
    ],
)
def test_what_a_step_affects_is_counted_instead_of_where_it_runs(
    steps: list[PlannedStep], touched: set[str], changed: tuple[str, ...]
) -> None:
    state, plan = a_state(*steps)
    assert touched_with(state, plan, steps[0]) == touched
    assert list(touched_by_batch(plan)) == [touched]
    assert plan.changed_targets == changed
