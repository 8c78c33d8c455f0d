"""Mistakes in when a person has to be asked: invariants 6 and 9."""

from collections.abc import Sequence
from typing import Any

from engine.ports import accepted_modes, asking, run_look
from engine.stages import switching
from engine.stages.deciding import braking
from tests.simulation.mutant import Mutant, put, wrap


def _nothing(*_: Any) -> str:
    return ""


def _whole(catalog: Any, *_: Any) -> Any:
    return catalog


def _by_nobody(original: Any, tx: Any) -> Any:
    waiting = original(tx)
    return None if waiting is None else (waiting[0], "nobody")


OF_ASKING: Sequence[Mutant] = (
    Mutant("a raised mode waits for nobody", 6, put(accepted_modes, "held_down", _whole), "raises"),
    Mutant(
        "who raised it may confirm it", 6, wrap(switching, "waiting_raise", _by_nobody), "raises"
    ),
    Mutant("no storm brakes", 9, put(braking, "storm", _nothing), "storms"),
    Mutant("the brake asks nobody", 9, put(asking, "asks_in_storm", _nothing), "storms"),
    Mutant(
        "the brake lets remedies be taken back",
        9,
        put(run_look, "asks_in_storm", _nothing),
        "storms",
    ),
)
