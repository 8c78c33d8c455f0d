"""Mistakes in keeping what is kept within bounds: invariant 14."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.core import reporting
from engine.core.retention import Retention
from engine.stages import runs
from engine.stages.deciding import writing
from tests.simulation.mutant import Mutant, put, wrap


def _whole(_: Any, values: Mapping[str, Any], *__: Any) -> dict[str, Any]:
    return dict(values)


OF_SIZES: Sequence[Mutant] = (
    Mutant("outputs are kept whole", 14, wrap(reporting, "bounded", _whole)),
    Mutant("annotations are told whole", 14, wrap(writing, "cut_texts", _whole)),
    Mutant("the state before is kept whole", 14, wrap(runs, "kept_before", _whole)),
    Mutant("dead letters are never full", 14, put(Retention, "full", lambda *_: "")),
)
