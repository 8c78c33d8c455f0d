"""Mistakes in what stands before a run's first change: invariants 7 and 9."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from engine.core import events, guards, point_of_no_return, run, run_clearance, run_steps
from engine.core.run_world import World
from engine.core.still_firing import Confirmation
from engine.ports import recording, run_look
from engine.ports.confirming import Confirming
from engine.store import tx
from tests.simulation.mutant import Mutant, put, together, wrap


async def _silence_is_consent(original: Any, *args: Any) -> Confirmation:
    answer: Confirmation = await original(*args)
    return replace(answer, answer="firing") if answer.answer == "cannot_tell" else answer


def _resolved_as_firing(original: Any, state: Any, event: Any, at: Any) -> Any:
    return replace(original(state, event, at), resolved_since=None)


def _not_with_the_intent(original: Any, *args: Any, intending: bool) -> Any:
    return (None, "") if intending else original(*args, intending=False)


def _from_the_beginning(original: Any, guard: Any, reservation: Any, now: Any) -> bool:
    since_taken = guard.name == "cooldown" and reservation.released_at is not None
    return bool(
        original(replace(guard, counts="taken") if since_taken else guard, reservation, now)
    )


def _let_go_after_a_step(original: Any, held: Any, incident: Any, event: Any, author: Any) -> None:
    original(held, incident, event, author)
    if isinstance(event, events.AttemptEnded):
        held.release(event.run_id)


def _let_go_always(original: Any, held: Any, incident: Any, event: Any, author: Any) -> None:
    original(held, incident, event, author)
    if isinstance(event, events.RunEnded):
        held.release(event.run_id)


OF_THE_FIRST_CHANGE: Sequence[Mutant] = (
    Mutant(
        "an answer of long ago counts",
        7,
        together(
            put(run_clearance, "stale_confirmation", lambda *_: False),
            put(point_of_no_return, "stale_confirmation", lambda *_: False),
        ),
    ),
    Mutant("silence is consent", 7, wrap(Confirming, "ask", _silence_is_consent)),
    Mutant(
        "who can't tell needs no approval",
        7,
        put(run_clearance, "_is_unconfirmed", lambda *_: False),
    ),
    Mutant("no longer firing is no reason", 7, wrap(run, "_confirmed", _resolved_as_firing)),
    Mutant(
        "a look of long ago counts",
        7,
        together(
            put(run_steps, "not_fresh", lambda *_: None),
            put(point_of_no_return, "_first", lambda *_: ""),
        ),
    ),
    Mutant("what cleared is mended", 7, put(World, "incident_open", property(lambda _: True))),
    Mutant("guards are not asked", 9, put(run_look, "first_refusal", lambda *_: None)),
    Mutant(
        "guards are not asked with the intent", 9, wrap(run_look, "_refusal", _not_with_the_intent)
    ),
    Mutant("nothing is reserved", 9, put(tx.SqlTx, "reserve", lambda *_: None), "crowds"),
    Mutant("a step lets go of the target", 9, wrap(recording, "_project", _let_go_after_a_step)),
    Mutant("a stopped run lets go of its target", 9, wrap(recording, "_project", _let_go_always)),
    Mutant("the cooldown begins with the run", 9, wrap(guards, "_counts", _from_the_beginning)),
)
