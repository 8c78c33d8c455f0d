"""Ratios that hold on a noisy machine: two variants measured in turn, pair by pair.

An absolute figure tells as much about the machine's other work as about the code, so each has the
load average and a fixed calibration loop beside it; the ratio within a pair is what to compare.
"""

import hashlib
import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MIN_PAIRS = 5
CALIBRATION_ROUNDS = 200_000


@dataclass(frozen=True, slots=True)
class Variant:
    """One side of a comparison: `measure` does the work and returns its figure (above 0)."""

    name: str
    measure: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure with the state of the machine right before it was taken."""

    figure: float
    load_average: float
    calibration_s: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two samples taken one after the other."""

    first: Sample
    second: Sample

    @property
    def ratio(self) -> float:
        """The second variant's figure over the first's."""
        return self.second.figure / self.first.figure


@dataclass(frozen=True, slots=True)
class Comparison:
    """The pairs of two variants; `unit` is what both figures are in."""

    first: str
    second: str
    unit: str
    pairs: tuple[Pair, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        return tuple(pair.ratio for pair in self.pairs)

    def table(self) -> str:
        """All of it for people: a line for each sample, and the ratio's spread last."""
        width = max(len(self.first), len(self.second))
        lines = [f"{'':{width}}  {self.unit:>12}  load  calibration_ms"]
        for pair in self.pairs:
            for name, sample in ((self.first, pair.first), (self.second, pair.second)):
                calibration_ms = sample.calibration_s * 1000
                figures = (
                    f"{sample.figure:12.4g}  {sample.load_average:4.1f}  {calibration_ms:14.1f}"
                )
                lines.append(f"{name:{width}}  {figures}")
        spread = (min(self.ratios), statistics.median(self.ratios), max(self.ratios))
        lines.append(
            f"{self.second} / {self.first}: "
            + "min {:.3f}, median {:.3f}, max {:.3f}".format(*spread)
            + f" over {len(self.pairs)} pairs"
        )
        return "\n".join(lines)


def timed(
    work: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> Callable[[], float]:
    """A variant's `measure` for work whose figure is its own duration in seconds."""

    def measure() -> float:
        start = clock()
        work()
        return clock() - start

    return measure


def compare(first: Variant, second: Variant, *, unit: str = "s", pairs: int = 7) -> Comparison:
    """Measure first, second, first, second…, after one turn of each that isn't counted."""
    if pairs < MIN_PAIRS:
        raise ValueError(f"pairs={pairs!r} shows no spread; take at least {MIN_PAIRS}")
    first.measure()
    second.measure()
    taken = tuple(Pair(sample(first.measure), sample(second.measure)) for _ in range(pairs))
    return Comparison(first.name, second.name, unit, taken)


def sample(measure: Callable[[], float]) -> Sample:
    """One figure with the load average and the calibration loop's time beside it."""
    load_average = os.getloadavg()[0]
    calibration_s = timed(calibration_loop)()
    return Sample(measure(), load_average, calibration_s)


def calibration_loop() -> str:
    """A fixed amount of work on one core, the same on every machine and in every version."""
    state = b"quell"
    for _ in range(CALIBRATION_ROUNDS):
        state = hashlib.sha256(state).digest()
    return state.hex()


def quantile(figures: Sequence[float], share: float) -> float:
    """The smallest figure that at least `share` (above 0, at most 1) of all don't exceed."""
    if not figures or not 0 < share <= 1:
        raise ValueError(f"no quantile {share!r} of {len(figures)} figures")
    ordered = sorted(figures)
    return ordered[math.ceil(share * len(ordered)) - 1]
