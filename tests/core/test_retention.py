"""The section `retention`: what fits into it, and what is said where something is full."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from engine.core.retention import NEARLY_FULL, Retention

MIB = 1024 * 1024


def test_durations_and_sizes_are_read_as_people_write_them() -> None:
    found = Retention.model_validate({"stream": "14d", "stream_size": "8GiB", "occurrences": "0"})
    assert (found.stream, found.stream_size) == (timedelta(days=14), 8 * 1024**3)
    assert (found.occurrences, found.dead_letters) == (timedelta(0), timedelta(days=30))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"stream": 7}, "a duration must be here, like '7d'"),
        ({"stream": "7 days"}, "isn't a duration"),
        ({"dead_letters_size": "2GB"}, "isn't a size"),
        ({"stream_size": "100KiB"}, "1MiB is the least"),
        ({"dead_letters_count": 0}, "greater than or equal to 1"),
        ({"journal": "1y"}, "Extra inputs"),
    ],
)
def test_what_cannot_be_kept_to_is_refused(given: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Retention.model_validate(given)


@pytest.mark.parametrize(
    ("letters", "size", "full"),
    [(10, MIB, False), (11, 0, True), (0, MIB + 1, True), (0, 0, False)],
)
def test_either_limit_makes_dead_letters_full(letters: int, size: int, *, full: bool) -> None:
    retention = Retention(dead_letters_count=10, dead_letters_size=MIB)
    said = retention.full(letters, size)
    assert bool(said) is full
    if full:
        for word in ("dead letters are full", "10 of them", "1MiB", "quell dead-letters list"):
            assert word in said


def test_it_is_told_before_senders_notice() -> None:
    retention = Retention(dead_letters_count=100, dead_letters_size=MIB)
    assert retention.nearly_full(89, 0) == ""
    assert "90% full" in retention.nearly_full(int(100 * NEARLY_FULL), 0)
    assert "100% full" in retention.nearly_full(0, MIB)
