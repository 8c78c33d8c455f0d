"""Mistakes in the commit that carries an outcome and the next intent: invariants 12 and 15."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from engine.ports import telling
from engine.ports.intending import Aim
from engine.ports.run_look import Seen
from engine.stages import runs
from tests.simulation.mutant import Mutant, Patch, together, wrap


@dataclass(frozen=True, slots=True)
class _AtOnce(Aim):
    """One whose intent shares the commit of the outcome before it."""


def _blind_to(blinded: Any) -> Patch:
    """What follows at once is told, aimed at and intended as if the run were seen like this."""

    def follows(original: Any, seen: Seen, *rest: Any) -> Any:
        return original(blinded(seen), *rest)

    def aims(original: Any, seen: Seen, *rest: Any) -> Aim | None:
        aim = original(blinded(seen), *rest)
        return aim and _AtOnce(**{each.name: getattr(aim, each.name) for each in fields(aim)})

    def intends(
        original: Any, tx: Any, task: Any, seen: Seen, text: Any, aim: Aim, *rest: Any
    ) -> Any:
        current = blinded(seen) if isinstance(aim, _AtOnce) else seen
        return original(tx, task, current, text, aim, *rest)

    return together(
        wrap(telling, "next_of", follows),
        wrap(runs, "next_aim", aims),
        wrap(runs, "intend", intends),
    )


def _unstopped(seen: Seen) -> Seen:
    return replace(seen, stopped="")


def _uncancelled(seen: Seen) -> Seen:
    return replace(seen, state=replace(seen.state, cancelled_by="", cancel_reason=""))


def _without_failures(seen: Seen) -> Seen:
    steps = {
        key: replace(step, outcome="succeeded") if step.outcome in ("failed", "unknown") else step
        for key, step in seen.state.steps.items()
    }
    return replace(seen, state=replace(seen.state, steps=steps))


AT_ONCE: Sequence[Mutant] = (
    Mutant("what follows at once asks no stop", 12, _blind_to(_unstopped), "drills"),
    Mutant("what follows at once asks no cancel", 12, _blind_to(_uncancelled), "drills"),
    Mutant(
        "what follows at once follows a failure too", 15, _blind_to(_without_failures), "drills"
    ),
)
