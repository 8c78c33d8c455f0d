"""Conditions of a run in progress, evaluated over what its journal says."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.core.expressions import Expression, ExpressionFailedError
from engine.core.incident import Incident
from engine.core.inventory import Inventory
from engine.core.json_value import Json
from engine.core.plan import OUTPUTS, Place
from engine.core.run import RunState, StepState
from engine.core.run_repeats import has_failed
from engine.core.scopes import OUTCOME, Known

# What a call gives is seen as outputs of the call.
_GIVEN = f"/{OUTPUTS}"


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a condition holds; `reason` tells why not."""

    holds: bool
    reason: str = ""


def known_to(
    state: RunState, incident: Incident, inventory: Inventory, place: Place | None = None
) -> Known:
    """What expressions of a run's playbook can name at this point, and at this place."""
    outputs: dict[str, Mapping[str, Json]] = {}
    for each in filter(None, (state.undone, state)):
        outputs |= {step_id: _outputs(step) for step_id, step in each.evidence.items()}
        for (_, step_id), step in each.steps.items():
            call = step_id.removesuffix(_GIVEN)
            if call != step_id:
                told = {f"{OUTPUTS}.{name}": value for name, value in step.outputs.items()}
                outputs[call] = {**outputs.get(call, {}), **told}
            else:
                outputs[step_id] = _outputs(step)
    known = Known(state.parameters, incident, inventory, outputs, failed=has_failed(state))
    return known if place is None else known.at(place)


def _outputs(step: StepState) -> Mapping[str, Json]:
    return {**step.outputs, OUTCOME: step.outcome}


def holds_if(condition: Expression, known: Known) -> Answer:
    """A step's `if`: an expression that fails blocks the step."""
    try:
        if condition.evaluate(known.bindings()):
            return Answer(holds=True)
    except ExpressionFailedError as error:
        return Answer(holds=False, reason=str(error))
    return Answer(holds=False, reason=f"{condition.text} is false")


def holds_until(until: Expression, known: Known, result: Mapping[str, Json]) -> Answer:
    """A verify step's `until` over one result: an expression that fails is "not yet"."""
    return holds_if(until, replace(known, result=result))
