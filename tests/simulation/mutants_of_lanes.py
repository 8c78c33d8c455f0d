"""Mistakes in what a run does side by side: invariant 15."""

from collections.abc import Sequence
from typing import Any

from engine.core import run_lanes, run_machine
from engine.core.run_commands import Busy, Command
from engine.core.run_endings import cancel
from engine.stages import runs
from tests.simulation.mutant import Mutant, put, wrap


def _waits_for_none(original: Any, found: Sequence[Command]) -> tuple[Command, ...]:
    return tuple(each for each in original(found) if not isinstance(each, Busy))


def _cancels_beside(original: Any, state: Any, world: Any) -> Command | None:
    command = original(state, world)
    return cancel(state, world) if isinstance(command, Busy) else command


OF_LANES: Sequence[Mutant] = (
    Mutant(
        "no branch waits for the others", 15, wrap(run_lanes, "at_once", _waits_for_none), "sides"
    ),
    Mutant(
        "on_cancel begins beside a branch",
        15,
        wrap(run_machine, "_before_the_plan", _cancels_beside),
        "sides",
    ),
    Mutant(
        "a branch begins whatever another did",
        15,
        put(runs, "still_next", lambda *_: True),
        "sides",
    ),
)
