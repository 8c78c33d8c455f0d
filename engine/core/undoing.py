"""Taking a run back after its end: the rollback that its plan holds, as a run of its own."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from engine.core import events
from engine.core.evaluating import holds_if
from engine.core.guards import Refusal
from engine.core.plan import PlannedStep
from engine.core.planning import PlanError, Rendered
from engine.core.playbook import Revert
from engine.core.run import RunState, StepKey, StepState, Story, fold
from engine.core.run_endings import changes_of
from engine.core.scopes import Known

# Who waits for the `when` of a revert looks again, and gives up some day.
LOOK_AGAIN = timedelta(minutes=5)
GIVE_UP_AFTER = timedelta(days=1)


def ways_back(run_id: str, story: Story) -> Sequence[RunState]:
    """The runs that took this one back, or are about to, as of its incident's story."""
    found = (
        fold(event.run_id, story)
        for event, _, _ in story
        if isinstance(event, events.RunCreated) and event.undoes == run_id
    )
    return [each for each in found if each is not None]


def left_behind(run_id: str, story: Story) -> RunState | None:
    """A run as what took it back since has left it: each part that is undone counts as its own."""
    state = fold(run_id, story)
    if state is None:
        return None
    undone: dict[StepKey, StepState] = {
        ("rollback", step_id): step
        for back in ways_back(run_id, story)
        if back.outcome is not None
        for (_, step_id), step in back.steps.items()
        if step.outcome == "succeeded"
    }
    return replace(state, steps={**state.steps, **undone})


def undoable(state: RunState) -> Sequence[PlannedStep]:
    """The steps that take back what the run did or may have done, in their order.

    Those that succeeded already aren't done again.
    """
    if state.plan is None:
        return ()
    undoing = state.plan.of("rollback")
    return [
        undo
        for done in reversed(changes_of(state, state.plan))
        for undo in undoing
        if undo.undoes == done.id and state.step("rollback", undo.id).outcome != "succeeded"
    ]


def undo_plan(state: RunState, run_id: str) -> Rendered:
    """The plan of the run that takes this one back: exactly what was approved with its plan.

    It has no deadline: what is taken back halfway is worse than what is taken back late. Raises
    PlanError where there is nothing to take back.
    """
    steps = [step.model_copy(update={"phase": "steps", "undoes": ""}) for step in undoable(state)]
    if state.plan is None or not steps:
        raise PlanError(f"run {state.run_id} has nothing that could be taken back")
    alone = {
        "run_id": run_id,
        "steps": tuple(steps),
        "guards": {name: each for name, each in state.plan.guards.items() if name == "lock"},
        "called": (),
        "deadline_s": None,
        "on_failure": None,
        "revert_after_s": None,
        "keep": "",
    }
    return Rendered(state.plan.model_copy(update=alone), (), ())


def not_yet(revert: Revert, known: Known) -> Refusal | None:
    """What a run that takes a temporary remedy back waits for; None once it may begin."""
    if revert.when is None or (answer := holds_if(revert.when, known)).holds:
        return None
    return Refusal("revert", answer.reason, waits=True, longest=GIVE_UP_AFTER, again=LOOK_AGAIN)
