"""What an action gave, as an entry of the journal: bounded, whatever the other side sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from engine.core import events
from engine.core.actions import Call, Effect, Prepared, Repeat, Result
from engine.core.bounds import size_of
from engine.core.evaluating import Answer
from engine.core.json_value import Json, JsonObject
from engine.core.plan import PlannedStep
from engine.core.run import RunState
from engine.core.run_commands import Attempt
from engine.errors import PermanentError

OUTPUT_LIMIT = 16_000
# How long after its intent an attempt may begin.
BEGIN_WITHIN = timedelta(seconds=5)
# What the effect may take beside its own bound: to end a process, to hear that a peer is gone.
CLEAN_UP = timedelta(seconds=10)
# What an action of ours reads at most (an answer, a command's output), as one value.
VALUE_LIMIT_BYTES = 64 * 1024
OUTPUTS_LIMIT_BYTES = 256 * 1024


def not_after(intended_at: datetime, timeout_s: float) -> datetime:
    """When the effect of an attempt can no longer be under way."""
    return intended_at + BEGIN_WITHIN + timedelta(seconds=timeout_s) + CLEAN_UP


def prepared(step: PlannedStep) -> Prepared:
    """A planned step as its action knows it."""
    return Prepared(
        effect=Effect(step.effect),
        repeat=Repeat(step.repeat),
        connection=step.connection,
        targets=step.targets,
        description=step.description,
        payload=step.payload,
        secrets=step.secrets,
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
        evidence=result.evidence,
        error=result.error or problem,
        duration_s=duration_s,
    )


def never_began(state: RunState, reason: str) -> events.RunEnded:
    """The end of a run that had no plan, or whose investigation failed."""
    return events.RunEnded(run_id=state.run_id, outcome="failed", reason=reason, changed=False)


def intended(
    run_id: str, command: Attempt, call: Call, now: datetime, before: JsonObject
) -> events.AttemptIntended:
    """The intent of this attempt, made at `now`; `before` is what a probe will compare with."""
    step = command.step
    return events.AttemptIntended(
        run_id=run_id,
        attempt_id=call.attempt_id,
        phase=step.phase,
        step_id=step.id,
        number=command.number,
        description=step.description,
        effect="destroy" if step.effect == "destroy" else "change",
        targets=step.reaches,
        not_after=not_after(now, step.timeout_s).isoformat(),
        before=before,
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
        evidence=ending.result.evidence,
        error=ending.result.error,
        duration_s=ending.duration_s,
    )


def bounded(outputs: Mapping[str, Json]) -> dict[str, JsonValue]:
    """The outputs within their share of an entry: a text is cut, any other value whole or None.

    None, because what is missing from a list would change what an expression says of it: one
    that looks into None fails, and so blocks.
    """
    kept: dict[str, JsonValue] = {}
    room = OUTPUTS_LIMIT_BYTES
    for name, value in outputs.items():
        kept[name] = _within(value, room)
        room -= size_of(kept[name])
    return kept


def _within(value: Json, room: int) -> JsonValue:
    fits = min(room, VALUE_LIMIT_BYTES)
    if not isinstance(value, str):
        return _plain(value) if size_of(value) <= fits else None
    text = value[:OUTPUT_LIMIT]
    # Escapes make a character of a text take more than a byte of JSON.
    return text if size_of(text) <= fits else text[: max(fits, 0) // 8]


def kept_before(before: JsonObject) -> JsonObject:
    """What a probe will compare with, which has to be whole. Raises PermanentError."""
    size = size_of(before)
    if size > VALUE_LIMIT_BYTES:
        raise PermanentError(f"it takes {size} bytes, and {VALUE_LIMIT_BYTES} can be kept")
    return before


def _plain(value: Json) -> JsonValue:
    """The same with dicts and lists, which is what the journal's models hold."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value
