"""Mistakes in what a run does side by side: invariant 15."""

from collections.abc import Sequence
from typing import Any

from engine.core import run_lanes
from engine.core.run_commands import Busy, Command
from tests.simulation.mutant import Mutant, wrap


def _waits_for_none(original: Any, found: Sequence[Command]) -> tuple[Command, ...]:
    return tuple(each for each in original(found) if not isinstance(each, Busy))


OF_LANES: Sequence[Mutant] = (
    Mutant(
        "no branch waits for the others",
        15,
        wrap(run_lanes, "at_once", _waits_for_none),
        "sides",
    ),
)
