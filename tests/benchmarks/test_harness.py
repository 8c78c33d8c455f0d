from collections.abc import Iterator

import pytest

from benchmarks.harness import (
    MIN_PAIRS,
    Comparison,
    Pair,
    Sample,
    Variant,
    calibration_loop,
    compare,
    quantile,
    timed,
)


def scripted(name: str, turns: list[str], figures: Iterator[float]) -> Variant:
    def measure() -> float:
        turns.append(name)
        return next(figures)

    return Variant(name, measure)


def test_variants_take_turns_and_the_first_turn_is_not_counted() -> None:
    turns: list[str] = []
    a = scripted("a", turns, iter([100.0, 1.0, 2.0, 4.0, 5.0, 8.0]))
    b = scripted("b", turns, iter([0.5, 2.0, 2.0, 2.0, 10.0, 8.0]))
    comparison = compare(a, b, unit="alerts/s", pairs=5)
    assert turns == ["a", "b"] * 6
    assert comparison.ratios == (2.0, 1.0, 0.5, 2.0, 1.0)


def test_each_figure_has_the_machines_state_beside_it() -> None:
    variant = Variant("a", lambda: 1.0)
    for pair in compare(variant, variant, pairs=MIN_PAIRS).pairs:
        for sample in (pair.first, pair.second):
            assert sample.load_average >= 0
            assert sample.calibration_s > 0


def test_too_few_pairs_are_refused() -> None:
    variant = Variant("a", lambda: 1.0)
    with pytest.raises(ValueError, match="pairs=4 shows no spread; take at least 5"):
        compare(variant, variant, pairs=4)


def test_the_table_shows_every_sample_and_the_spread() -> None:
    pair = Pair(Sample(2.0, 0.5, 0.040), Sample(3.0, 1.5, 0.050))
    slower = Pair(Sample(2.0, 0.5, 0.040), Sample(8.0, 1.5, 0.050))
    lines = Comparison("old", "new", "s", (pair, pair, slower)).table().splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["s", "load", "calibration_ms"],
        ["old", "2", "0.5", "40.0"],
        ["new", "3", "1.5", "50.0"],
    ]
    assert lines[-1] == "new / old: min 1.500, median 1.500, max 4.000 over 3 pairs"


def test_timed_measures_the_work_between_two_looks_at_the_clock() -> None:
    seen: list[str] = []
    clock = iter([10.0, 12.5])

    def look() -> float:
        seen.append("clock")
        return next(clock)

    assert timed(lambda: seen.append("work"), look)() == 2.5
    assert seen == ["clock", "work", "clock"]


def test_the_calibration_loop_always_does_the_same() -> None:
    assert calibration_loop() == calibration_loop()


@pytest.mark.parametrize(
    ("share", "expected"), [(0.01, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)]
)
def test_a_quantile_is_one_of_the_figures(share: float, expected: float) -> None:
    assert quantile([float(n) for n in range(100, 0, -1)], share) == expected


@pytest.mark.parametrize(("figures", "share"), [([], 0.5), ([1.0], 0.0), ([1.0], 1.1)])
def test_a_quantile_of_nothing_is_refused(figures: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        quantile(figures, share)


def test_a_quantile_of_one_figure_is_that_figure() -> None:
    assert quantile([7.0], 0.99) == 7.0
