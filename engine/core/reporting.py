"""What an action gave, as an entry of the journal: bounded, whatever the other side sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from engine.core import events
from engine.core.actions import Call, Effect, Prepared, Repeat, Result
from engine.core.evaluating import Answer
from engine.core.json_value import Json
from engine.core.plan import PlannedStep

EVIDENCE_LIMIT = 8_000
OUTPUT_LIMIT = 16_000


def prepared(step: PlannedStep) -> Prepared:
    """A planned step as its action knows it."""
    return Prepared(
        effect=Effect(step.effect),
        repeat=Repeat(step.repeat),
        connection=step.connection,
        targets=step.targets,
        description=step.description,
        payload=step.payload,
    )


def observed(
    run_id: str,
    phase: events.StepPhase,
    step: PlannedStep,
    result: Result,
    *,
    answer: Answer | None = None,
    duration_s: float = 0.0,
) -> events.StepObserved:
    """A read's result; `answer` is that of its `until`."""
    problem = answer.reason if answer else ""
    return events.StepObserved(
        run_id=run_id,
        phase=phase,
        step_id=step.id,
        outcome="succeeded" if result.succeeded else "failed",
        holds=answer.holds if answer else None,
        description=step.description,
        outputs=bounded(result.outputs),
        evidence=result.evidence[:EVIDENCE_LIMIT],
        error=result.error or problem,
        duration_s=duration_s,
    )


@dataclass(frozen=True, slots=True)
class Ending:
    """How a change ended; `begun` is False when it surely never started."""

    result: Result
    outcome: events.AttemptOutcome
    begun: bool = True
    duration_s: float = 0.0


def attempt_ended(
    run_id: str, step: PlannedStep, call: Call, ending: Ending
) -> events.AttemptEnded:
    """A change's ending, as far as it is known."""
    return events.AttemptEnded(
        run_id=run_id,
        attempt_id=call.attempt_id,
        phase=step.phase,
        step_id=step.id,
        outcome=ending.outcome,
        begun=ending.begun,
        outputs=bounded(ending.result.outputs),
        evidence=ending.result.evidence[:EVIDENCE_LIMIT],
        error=ending.result.error,
        duration_s=ending.duration_s,
    )


def bounded(outputs: Mapping[str, Json]) -> dict[str, JsonValue]:
    """The outputs with every text cut to its share of an entry's bound."""
    return {
        name: value[:OUTPUT_LIMIT] if isinstance(value, str) else _plain(value)
        for name, value in outputs.items()
    }


def _plain(value: Json) -> JsonValue:
    """The same with dicts and lists, which is what the journal's models hold."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value
