"""Whether it still fires: by a last notice, and by several answers together."""

from datetime import timedelta

import pytest
from msgspec import structs

from engine.core.still_firing import Confirmation, by_last_notice, combined
from tests.services.stores import START
from tests.store.values import an_occurrence

ASKED = Confirmation("firing", "source")
NOTICED = Confirmation("firing", "last notice")
GONE = Confirmation("resolved", "source")
SILENT = Confirmation("cannot_tell", "source")


@pytest.mark.parametrize(
    ("answers", "all_together"),
    [
        pytest.param([GONE, ASKED], ASKED, id="one that fires is enough"),
        pytest.param([NOTICED, ASKED], ASKED, id="who was asked is worth more than a notice"),
        pytest.param([GONE, SILENT], SILENT, id="one that can't tell may fire"),
        pytest.param([GONE, GONE], GONE, id="resolved where all are"),
        pytest.param([SILENT, NOTICED], NOTICED, id="a notice is worth more than silence"),
    ],
)
def test_answers_of_several_together(
    answers: list[Confirmation], all_together: Confirmation
) -> None:
    assert combined(answers) == all_together
    assert combined(reversed(answers)) == all_together


def test_without_any_answer_nobody_can_tell() -> None:
    assert combined([]).answer == "cannot_tell"


@pytest.mark.parametrize(
    ("age_s", "answer"), [(0, "firing"), (3600, "firing"), (3601, "cannot_tell")]
)
def test_a_last_notice_counts_for_some_time_and_says_that_it_is_one(
    age_s: int, answer: str
) -> None:
    now = START + timedelta(seconds=age_s)
    found = by_last_notice(an_occurrence("f"), now, timedelta(hours=1))
    assert (found.answer, found.basis) == (answer, "last notice")
    assert f"told of it {age_s} s ago" in found.detail


def test_what_was_resolved_meanwhile_is_resolved() -> None:
    ended = structs.replace(an_occurrence("f"), ended_at=START)
    assert by_last_notice(ended, START, timedelta(hours=1)).answer == "resolved"
