"""`outputs` of a playbook: what its results come to, told at its end and to who calls it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.core import events
from engine.core.bounds import cut, size_of
from engine.core.compiling import compile_text
from engine.core.events.event import BRIEF_LIMIT
from engine.core.expressions import ExpressionFailedError, Scope, ValueType
from engine.core.json_value import Json
from engine.core.mistakes import Mistakes
from engine.core.plan import OUTPUTS, PlannedStep
from engine.core.ran_checks import check_ran
from engine.core.rendering import render
from engine.core.run import RunState
from engine.core.scopes import Known
from engine.core.templates import Template

# A value that isn't text is kept whole, or left out.
VALUE_LIMIT_BYTES = 8_000


@dataclass(frozen=True, slots=True)
class Given:
    """The outputs of a playbook that helped, and a sentence for each that has no value."""

    values: Mapping[str, Json] = field(default_factory=dict)
    lacking: Sequence[str] = ()


def compile_outputs(
    texts: Mapping[str, str], scope: Scope, conditions: Mapping[str, str], mistakes: Mistakes
) -> Mapping[str, Template | str]:
    """Check them; `conditions` are the `if` of the steps that they may name."""
    found: dict[str, Template | str] = {}
    for name, text in texts.items():
        here = mistakes.at(name)
        compiled = compile_text(text, scope, ValueType.DYN, here)
        if isinstance(compiled, Template):
            for each in compiled.expressions:
                check_ran(each, conditions, here)
        if compiled is not None:
            found[name] = compiled
    return found


def given(outputs: Mapping[str, Template | str], known: Known) -> Given:
    """What they come to; one that has no value takes nothing else with it."""
    values: dict[str, Json] = {}
    lacking: list[str] = []
    bindings = known.bindings()
    for name, each in outputs.items():
        try:
            value = render(each, bindings)
        except ExpressionFailedError as error:
            lacking.append(f"no output {name!r}: {error}")
            continue
        if isinstance(value, str):
            values[name] = cut(value, BRIEF_LIMIT)
        elif size_of(value) > VALUE_LIMIT_BYTES:
            lacking.append(f"output {name!r} takes more than {VALUE_LIMIT_BYTES} bytes")
        else:
            values[name] = value
    return Given(values, lacking)


def gave(
    state: RunState, step: PlannedStep, outputs: Mapping[str, Template | str], known: Known
) -> events.StepObserved:
    """What a called playbook gives, right behind its proof."""
    found = given(outputs, known)
    return events.StepObserved(
        run_id=state.run_id,
        phase=step.phase,
        step_id=step.id,
        outcome="succeeded",
        description=step.description,
        outputs=found.values,
        error="; ".join(found.lacking),
    )


def types_of(outputs: Mapping[str, Template | str]) -> Mapping[str, ValueType]:
    """What a caller sees behind `steps.<id of the call>`."""
    return {
        f"{OUTPUTS}.{name}": each.type if isinstance(each, Template) else ValueType.FORMATTED
        for name, each in outputs.items()
    }
