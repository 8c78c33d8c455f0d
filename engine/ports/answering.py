"""A person's answer to a question of a run, checked and journaled in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.core import events
from engine.core.access import may_decide
from engine.core.incident import chain_of
from engine.core.journal import told
from engine.core.questions import Question, unanswered
from engine.core.run import RunState, fold
from engine.errors import ConflictError, NotFoundError, PermanentError
from engine.ports.commands import By
from engine.ports.recording import Author, record
from engine.ports.rows import RunRow
from engine.ports.store import Tx


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody says; without `step` it is for the only question that waits."""

    choice: str
    by: By
    step: str = ""
    reason: str = ""


def answer_question(tx: Tx, run: RunRow, answer: Answer, author: Author) -> None:
    """The first answer stands. Raises ConflictError, DeniedError, PermanentError, NotFoundError."""
    incident, state = tx.incident(run.incident_id), _state(tx, run)
    if incident is None:
        raise NotFoundError(f"run {run.id!r} has no incident")
    if state.outcome is not None or state.cancelled_by:
        raise ConflictError("the run has ended, or is about to: it asks nothing any more")
    if (given := state.questions.get(answer.step)) is not None and given.is_over:
        raise ConflictError(f"{answer.step} was answered by {given.actor}: {given.answer}")
    question = _asked(unanswered(state.questions), answer.step)
    may_decide(answer.by.actor, answer.by.roles, question.ask).demand()
    if answer.choice not in question.choices:
        raise PermanentError(
            f"{answer.choice!r} is none of the choices of {question.step_id}: "
            f"{', '.join(question.choices)}"
        )
    if tx.now >= question.expires_at:
        raise ConflictError(f"the question expired at {question.expires_at:%H:%M:%S} UTC")
    event = events.QuestionAnswered(
        run_id=run.id,
        step_id=question.step_id,
        answer=answer.choice,
        via=answer.by.via,
        reason=answer.reason,
        phase=question.phase,
    )
    record(tx, incident, [event], author)
    tx.wake_task("run", run.id)


def open_questions(tx: Tx, run: RunRow) -> Sequence[Question]:
    """What a run asks now."""
    return unanswered(_state(tx, run).questions)


def _state(tx: Tx, run: RunRow) -> RunState:
    entries = tx.entries(chain_of(run.incident_id))
    story = told(entries)
    state = fold(run.id, story)
    if state is None:
        raise NotFoundError(f"run {run.id!r} has no entries")
    return state


def _asked(waiting: Sequence[Question], step: str) -> Question:
    found = [each for each in waiting if step in ("", each.step_id)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(each.step_id for each in waiting) or "nothing"
    raise ConflictError(f"what the run asks now: {names}" + (f", not {step}" if step else ""))
