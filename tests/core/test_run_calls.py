"""What is left out of a called playbook."""

from dataclasses import replace

import pytest

from engine.core.plan import Place, PlanPhase
from engine.core.run import StepKey, StepState
from engine.core.run import created as state_of
from engine.core.run_calls import left_out
from tests.doubles.runs import START, a_plan, a_playbook, a_step, created, planned

PLACE = Place(origin="drain/cordon", frame="drain/", gate="drain")
SKIPPED, DONE = StepState(outcome="skipped"), StepState(outcome="succeeded", attempts=1)


@pytest.mark.parametrize(
    ("phase", "place", "known", "reason"),
    [
        pytest.param("steps", None, {"drain": SKIPPED}, "", id="of no call"),
        pytest.param("steps", PLACE, {}, "", id="the call's if isn't asked yet"),
        pytest.param("steps", PLACE, {"drain": DONE}, "", id="the call's if holds"),
        pytest.param("steps", PLACE, {"drain": SKIPPED}, "drain is skipped", id="it doesn't"),
        pytest.param("on_cancel", PLACE, {}, "drain had not begun", id="cancelled before"),
        pytest.param("on_cancel", PLACE, {"drain/cordon": DONE}, "", id="cancelled within"),
    ],
)
def test_a_step_is_left_out_with_its_call(
    phase: PlanPhase, place: Place | None, known: dict[str, StepState], reason: str
) -> None:
    step = planned(a_step("drain/cordon")).model_copy(update={"place": place})
    plan = a_plan(a_playbook()).model_copy(update={"steps": (step,)})
    steps: dict[StepKey, StepState] = {("steps", step_id): each for step_id, each in known.items()}
    state = replace(state_of(created(), START), plan=plan, steps=steps)
    assert left_out(state, plan, step.model_copy(update={"phase": phase})) == reason
