"""When calls fail or are slow, and what an alarm tells of it: one table each."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.client.reporting.judging import (
    CALLS_FAILING,
    CALLS_SLOW,
    ERRORS_LOGGED,
    Alarm,
    Condition,
    Moment,
    Step,
    Thresholds,
    Verdict,
)
from engine.client.reporting.windows import Counts
from engine.errors import ConfigError

AT = Thresholds(min_calls=20, failing_share=0.2, p95_latency_s=10.0, log_records=10)
START = datetime(2026, 11, 1, 12, tzinfo=UTC)

VERDICTS: tuple[tuple[str, Condition, Counts, int, Verdict], ...] = (
    ("none called", CALLS_FAILING, Counts(), 20, "too_few"),
    ("all fail, too few", CALLS_FAILING, Counts(calls=19, failures=19), 20, "too_few"),
    ("all fail, just enough", CALLS_FAILING, Counts(calls=20, failures=20), 20, "over"),
    ("at the share", CALLS_FAILING, Counts(calls=20, failures=4), 20, "over"),
    ("below the share", CALLS_FAILING, Counts(calls=20, failures=3), 20, "under"),
    ("it fires, and one more failed", CALLS_FAILING, Counts(calls=1, failures=1), 1, "over"),
    ("it fires, and one succeeded", CALLS_FAILING, Counts(calls=1), 1, "too_few"),
    ("it fires, and nobody calls", CALLS_FAILING, Counts(), 1, "too_few"),
    ("more than five of a hundred", CALLS_SLOW, Counts(calls=100, timed=100, slow=6), 20, "over"),
    ("five of a hundred", CALLS_SLOW, Counts(calls=100, timed=100, slow=5), 20, "under"),
    ("failed calls aren't slow", CALLS_SLOW, Counts(calls=100, timed=19, slow=19), 20, "too_few"),
    ("ten records", ERRORS_LOGGED, Counts(calls=10), 20, "over"),
    ("nine records", ERRORS_LOGGED, Counts(calls=9), 20, "under"),
    ("none logged is a good sign", ERRORS_LOGGED, Counts(), 20, "under"),
)


@pytest.mark.parametrize(
    ("condition", "counts", "needed", "verdict"),
    [pytest.param(*row[1:], id=row[0]) for row in VERDICTS],
)
def test_a_condition_judges_a_window(
    condition: Condition, counts: Counts, needed: int, verdict: Verdict
) -> None:
    assert condition.verdict(counts, AT, needed) == verdict


def test_without_a_latency_threshold_nothing_is_slow() -> None:
    counts = Counts(calls=100, timed=100, slow=100)
    assert CALLS_SLOW.verdict(counts, Thresholds(), 20) == "under"


def test_half_of_the_calls_is_critical() -> None:
    assert CALLS_FAILING.severity(Counts(calls=20, failures=10), AT) == "critical"
    assert CALLS_FAILING.severity(Counts(calls=20, failures=9), AT) == "error"


# What an alarm says after each verdict; the seconds are since the start.
STORIES: tuple[tuple[str, tuple[tuple[int, Verdict, Step], ...]], ...] = (
    ("all is well", ((0, "under", "nothing"), (10, "too_few", "nothing"))),
    (
        "it lasts and is repeated each minute",
        (
            (0, "over", "begin"),
            (59, "over", "nothing"),
            (60, "over", "repeat"),
            (61, "over", "nothing"),
            (120, "over", "repeat"),
        ),
    ),
    (
        "it is over once it was clear for a minute",
        (
            (0, "over", "begin"),
            (10, "under", "nothing"),
            (69, "under", "nothing"),
            (70, "under", "resolve"),
            (80, "under", "nothing"),
        ),
    ),
    (
        "a relapse begins the minute anew and is the same occurrence",
        (
            (0, "over", "begin"),
            (10, "under", "nothing"),
            (60, "over", "repeat"),
            (70, "under", "nothing"),
            (129, "under", "nothing"),
            (130, "under", "resolve"),
        ),
    ),
    (
        "without calls nothing is told, and quell lets it expire",
        (
            (0, "over", "begin"),
            (100, "too_few", "nothing"),
            (239, "too_few", "nothing"),
            (240, "too_few", "lapse"),
            (250, "over", "begin"),
        ),
    ),
    (
        "after a pause the end is told where it hasn't expired",
        (
            (0, "over", "begin"),
            (100, "too_few", "nothing"),
            (150, "under", "nothing"),
            (210, "under", "resolve"),
        ),
    ),
)


@pytest.mark.parametrize("story", [pytest.param(row[1], id=row[0]) for row in STORIES])
def test_an_alarm_tells_a_change_and_repeats_what_lasts(
    story: tuple[tuple[int, Verdict, Step], ...],
) -> None:
    alarm = Alarm()
    told = [
        alarm.advance(verdict, Moment(seconds, START + timedelta(seconds=seconds)), AT)
        for seconds, verdict, _ in story
    ]
    assert told == [step for _, _, step in story]


def test_since_is_when_it_was_first_over() -> None:
    alarm = Alarm()
    for seconds in (0, 60, 120):
        alarm.advance("over", Moment(seconds, START + timedelta(seconds=seconds)), AT)
    assert alarm.since == START


def test_one_lost_notice_does_not_end_what_lasts() -> None:
    assert Thresholds().expires_after_s > 3 * Thresholds().repeat_s


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"window_s": 0.5}, "window_s"),
        ({"p95_latency_s": -1.0}, "p95_latency_s"),
        ({"clear_for_s": -1.0}, "clear_for_s"),
        ({"min_calls": -1}, "min_calls"),
        ({"failing_share": 1.01}, "failing_share"),
        ({"failing_share": float("nan")}, "failing_share"),
        ({"repeat_s": 0.0}, "repeat_s"),
    ],
)
def test_a_senseless_threshold_is_refused_by_name(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Thresholds(**wrong)
