"""Five hundred histories keep the invariants, and what breaks the product is noticed."""

import sys
from itertools import count, islice
from pathlib import Path

import pytest

from tests.simulation.many_seeds import ENOUGH_SEEDS, play_all, reproduce
from tests.simulation.mutant import Mutant
from tests.simulation.mutants import MUTANTS
from tests.simulation.scenario import play
from tests.simulation.scenes import scene_of

ENOUGH_OF_A_SCENE = 100
# The first of each invariant is tried at once, the others in the slow suite.
FIRSTS = {mutant.invariant: mutant for mutant in reversed(MUTANTS)}


def test_every_invariant_holds_over_five_hundred_seeds() -> None:
    tally = play_all(range(ENOUGH_SEEDS))
    sys.stdout.write("\n".join(tally.lines()))
    assert [played.seed for played in tally.failed] == []
    assert tally.never == []


def test_a_seed_always_gives_the_same_history() -> None:
    first, again = play(11), play(11)
    assert first.history == again.history
    assert len(first.history) > 10


def test_a_failing_seed_tells_its_history_and_how_to_see_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    next(each for each in MUTANTS if each.name == "act, then intend").apply(monkeypatch)
    tally = play_all(range(5))
    lines = list(tally.lines())
    assert any("VIOLATION invariant 4" in line for line in lines)
    assert any(reproduce(tally.failed[0].seed) in line for line in lines)


def test_a_fault_that_never_happens_is_told() -> None:
    never = play_all(range(1)).never
    assert "attempt.intended@1 x crash before commit" in never
    assert "person: reject" in never


def test_each_invariant_has_at_least_three_mutants_that_are_caught() -> None:
    caught = [mutant.invariant for mutant in MUTANTS]
    proven = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15)
    assert {number: caught.count(number) >= 3 for number in proven} == dict.fromkeys(proven, True)


def test_each_mistake_is_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()
    for mutant in MUTANTS:
        rows = [row for row in page.splitlines() if row.startswith(f"| {mutant.invariant} | ")]
        assert any(mutant.name in row for row in rows), mutant


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(
            mutant,
            id=str(mutant),
            marks=() if FIRSTS[mutant.invariant] is mutant else pytest.mark.slow,
        )
        for mutant in MUTANTS
    ],
)
def test_a_mistake_is_noticed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.apply(monkeypatch)
    broken = f"invariant {mutant.invariant}:"
    seeds = islice(
        (seed for seed in count() if mutant.scene in ("", scene_of(seed))),
        ENOUGH_OF_A_SCENE if mutant.scene else ENOUGH_SEEDS,
    )
    assert any(broken in each for seed in seeds for each in play(seed).violations)
