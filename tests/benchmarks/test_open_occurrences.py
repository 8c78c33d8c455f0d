from dataclasses import fields

import pytest

from benchmarks.open_occurrences import (
    INCIDENTS,
    MIB,
    OCCURRENCES,
    Figures,
    alert,
    started_quell,
    storm,
)

# What 100,000 may add, and what the first few thousand fill once, whatever follows: SQLite's page
# caches and the allocator's arenas, 36 MiB of the 53 that 100,000 add.
BOUND_BYTES = 120 * MIB
ALLOWANCE_BYTES = 48 * MIB


def test_a_storm_is_measured_once_all_of_it_is_open() -> None:
    with started_quell() as quell:
        figures = storm(quell, 300, 3, settled_s=0.1)
    assert (figures.occurrences, figures.incidents) == (300, 3)
    assert all(getattr(figures, each.name) > 0 for each in fields(figures))
    assert len(figures.table().splitlines()) == 9


def test_every_alert_is_one_of_its_own_with_eight_labels() -> None:
    found = [alert(number, number % 2)["labels"] for number in range(100)]
    assert all(isinstance(labels, dict) and len(labels) == 8 for labels in found)
    assert len({str(labels) for labels in found}) == 100


def test_what_was_added_is_the_difference() -> None:
    figures = Figures(100, 1, 50 * MIB, 80 * MIB, 2.0, 4.0, MIB, MIB)
    assert figures.added_bytes == 30 * MIB
    assert "alerts per CPU second            50" in figures.table()


def test_ten_thousand_open_occurrences_take_their_share_of_memory_at_most() -> None:
    occurrences = 10_000
    with started_quell() as quell:
        figures = storm(quell, occurrences, 10, settled_s=3)
    share = BOUND_BYTES * occurrences // OCCURRENCES
    assert figures.added_bytes < share + ALLOWANCE_BYTES, figures.table()


@pytest.mark.slow
@pytest.mark.parametrize("incidents", [INCIDENTS, 1])
def test_a_hundred_thousand_open_occurrences_add_120_mib_at_most(incidents: int) -> None:
    with started_quell() as quell:
        figures = storm(quell, OCCURRENCES, incidents)
    assert figures.added_bytes < BOUND_BYTES, figures.table()
