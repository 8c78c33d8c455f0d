"""A run that waits for a person's answer before its plan is made."""

from engine.core import events
from engine.core.expansion import Placed
from engine.core.expressions import ExpressionFailedError
from engine.core.questions import Asking
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
        return Record(
            events.QuestionAsked(
                run_id=state.run_id,
                step_id=placed.id,
                question=text,
                choices=asking.choices,
                ask=asking.ask,
                expires_at=(world.now + asking.expires).isoformat(),
            )
        )
    if question.answer:
        return None
    if question.is_over:
        return end(state, "expired", f"nobody answered {placed.id} in time; a person is needed")
    if world.now < question.expires_at:
        return Wait(question.expires_at, f"waiting for an answer to {placed.id}")
    return Record(
        events.QuestionAnswered(run_id=state.run_id, step_id=placed.id, answer="", via="clock")
    )
