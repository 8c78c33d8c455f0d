"""Mistakes in how a run goes on, back and over to the next one: invariant 15."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from engine.core import (
    access,
    evaluating,
    events,
    expansion,
    followers,
    run,
    run_endings,
    run_lanes,
    run_machine,
    run_steps,
)
from engine.core.playbook import Step
from engine.core.run_commands import Record, Undone, end
from engine.core.run_loops import Failures
from engine.core.run_waits import done
from engine.ports import answering, intending, telling
from tests.simulation.mutant import Mutant, put, together, wrap


def _always(answer: object) -> Any:
    return lambda *_, **__: answer


def _wait_no_longer(original: Any, state: Any, step: Any, world: Any) -> Any:
    begun = state.step(step.phase, step.id).waits_until is not None
    return Record(done(state, step)) if begun else original(state, step, world)


def _from_the_first(original: Any, state: Any, event: Any, at: Any) -> Any:
    after = original(state, event, at)
    return replace(after, began_at=state.began_at or after.began_at)


def _end_at_once(state: Any, _: Any) -> Any:
    return end(state, "cancelled", "at once")


def _first_choice(original: Any, state: Any, event: Any, at: Any, actor: Any) -> Any:
    first = state.questions[event.step_id].choices[0]
    given = event.model_copy(update={"answer": event.answer or first})
    return original(state, given, at, actor)


def _very_soon(original: Any, tx: Any, incident: Any, plan: Any, story: Any) -> None:
    if plan is not None and plan.revert_after_s is not None:
        plan = plan.model_copy(update={"revert_after_s": 1.0})
    original(tx, incident, plan, story)


def _any_loss(_: Any, failures: Failures, step: Any) -> bool:
    return step.place is not None and step.place.item != ""


def _nobody_follows(_: Any, ended: events.RunEnded, *__: Any) -> Any:
    return (ended,)


OF_THE_PLAN: Sequence[Mutant] = (
    Mutant(
        "what was done first is undone first",
        15,
        wrap(run_endings, "changes_of", lambda original, *args: original(*args)[::-1]),
        "fleets",
    ),
    Mutant("serial is ignored", 15, put(expansion, "batches", lambda items, _: [items]), "fleets"),
    Mutant("a loop may lose all", 15, wrap(Failures, "_may_lose", _any_loss), "fleets"),
    Mutant("a wait is over at once", 15, wrap(run_steps, "wait_out", _wait_no_longer)),
    Mutant(
        "it always looks like a failure",
        15,
        put(evaluating, "has_failed", _always(True)),
        "fleets",
    ),
    Mutant(
        "a failure skips all",
        15,
        put(Step, "runs_after_failure", property(_always(False))),
        "fleets",
    ),
    Mutant("a failure skips nothing", 15, put(Step, "runs_after_failure", property(_always(True)))),
    Mutant(
        "there is no deadline",
        15,
        together(*(put(m, "deadline", _always(None)) for m in (run_lanes, run_endings, run_steps))),
        "fleets",
    ),
    Mutant(
        "the deadline counts what never began",
        15,
        wrap(run, "_attempted", _from_the_first),
        "fleets",
    ),
    Mutant("a cancel ends all at once", 15, put(run_machine, "cancel", _end_at_once)),
    Mutant("nothing is undone", 15, put(run_endings, "undo", _always(Undone()))),
    Mutant(
        "a remedy is taken back at once", 15, wrap(telling, "revert_later", _very_soon), "relief"
    ),
    Mutant(
        "a remedy is never taken back", 15, put(telling, "revert_later", _always(None)), "relief"
    ),
    Mutant(
        "its time is all that a revert waits for",
        15,
        put(intending, "_waits_for_its_time", _always(None)),
        "relief",
    ),
    Mutant("one failure follows the other", 15, put(followers, "MAX_RUNS", 9), "choices"),
    Mutant(
        "nobody follows a failure", 15, wrap(telling, "with_follower", _nobody_follows), "choices"
    ),
    Mutant(
        "anybody may answer",
        15,
        put(answering, "may_decide", _always(access.Verdict(True))),
        "choices",
    ),
    Mutant("silence is an answer", 15, wrap(run, "_answered", _first_choice), "choices"),
)
