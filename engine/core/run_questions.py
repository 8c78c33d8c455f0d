"""A run that waits for a person's answer: before its plan is made, or between its steps."""

from datetime import timedelta

from engine.core import events
from engine.core.expansion import Placed
from engine.core.expressions import ExpressionFailedError
from engine.core.plan import PlannedQuestion, PlannedStep
from engine.core.questions import Asking, Question, planned_question
from engine.core.rendering import render
from engine.core.run import RunState
from engine.core.run_commands import Command, Record, Wait, end
from engine.core.run_world import World


def ask(state: RunState, placed: Placed, asking: Asking, world: World) -> Command | None:
    """Ask, wait, or end where nobody answered in time; None once somebody did."""
    question = state.questions.get(placed.id)
    if question is None:
        try:
            text = str(render(asking.question, placed.known.bindings()))
        except ExpressionFailedError as error:
            return end(state, "failed", f"no question: step {placed.id}: {error}")
        return Record(_asked(state, placed.id, planned_question(asking, text), world))
    if question.answer:
        return None
    if question.is_over:
        return end(state, "expired", f"nobody answered {placed.id} in time; a person is needed")
    return _waits(state, question, world)


def ask_between(
    state: RunState, step: PlannedStep, asked: PlannedQuestion, world: World
) -> Command:
    """Ask what the plan holds, or wait; the answer, or its absence, ends the step."""
    question = state.questions.get(step.id)
    if question is not None:
        return _waits(state, question, world)
    event = _asked(state, step.id, asked, world)
    return Record(event.model_copy(update={"phase": "steps"}))


def _asked(
    state: RunState, step_id: str, asked: PlannedQuestion, world: World
) -> events.QuestionAsked:
    return events.QuestionAsked(
        run_id=state.run_id,
        step_id=step_id,
        question=asked.text,
        choices=asked.choices,
        ask=asked.ask,
        expires_at=(world.now + timedelta(seconds=asked.expires_s)).isoformat(),
    )


def _waits(state: RunState, question: Question, world: World) -> Command:
    if world.now < question.expires_at:
        return Wait(question.expires_at, f"waiting for an answer to {question.step_id}")
    return Record(
        events.QuestionAnswered(
            run_id=state.run_id,
            step_id=question.step_id,
            answer="",
            via="clock",
            phase=question.phase,
        )
    )
