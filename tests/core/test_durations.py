"""Durations are Prometheus' own, and what is printed is read back."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.durations import format_duration, parse_duration

READ = {
    "0": timedelta(0),
    "0s": timedelta(0),
    "30s": timedelta(seconds=30),
    "5m": timedelta(minutes=5),
    "1h30m": timedelta(hours=1, minutes=30),
    "90m": timedelta(minutes=90),
    "2d": timedelta(days=2),
    "1w": timedelta(weeks=1),
    "1y": timedelta(days=365),
    "250ms": timedelta(milliseconds=250),
    "1y2w3d4h5m6s7ms": timedelta(days=365 + 14 + 3, hours=4, minutes=5, seconds=6, milliseconds=7),
}
REFUSED = {
    "empty": "",
    "no unit": "5",
    "no number": "m",
    "blank": "5 m",
    "negative": "-5m",
    "fraction": "1.5h",
    "unknown unit": "5min",
    "smallest first": "30m1h",
    "unit twice": "1m2m",
    "upper case": "5M",
    "Arabic digits": "\u0665m",
    "microseconds": "5us",
    "number of absurd length": "9" * 5000 + "s",
}


@pytest.mark.parametrize(("text", "span"), READ.items(), ids=READ)
def test_reads_prometheus_durations(text: str, span: timedelta) -> None:
    assert parse_duration(text) == span


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="isn't a duration; write it like '30s', '5m', '1h30m'"):
        parse_duration(text)


def test_more_than_a_century_is_refused() -> None:
    with pytest.raises(ValueError, match="'101y' is longer than 100 years"):
        parse_duration("101y")


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(minutes=5), "5m"),
        (timedelta(hours=1, minutes=30), "1h30m"),
        (timedelta(days=90), "90d"),
        (timedelta(milliseconds=1500), "1s500ms"),
        (timedelta(microseconds=1500), "1ms"),
    ],
)
def test_prints_the_shortest_spelling(span: timedelta, text: str) -> None:
    assert format_duration(span) == text


def test_a_negative_span_has_no_spelling() -> None:
    with pytest.raises(ValueError, match="is negative"):
        format_duration(timedelta(seconds=-1))


@given(st.integers(min_value=0, max_value=100 * 365 * 86_400_000))
def test_what_is_printed_is_read_back(span_ms: int) -> None:
    span = timedelta(milliseconds=span_ms)
    assert parse_duration(format_duration(span)) == span


@given(st.text("0123456789ywdhms", max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert parse_duration(text) >= timedelta(0)
    except ValueError as error:
        assert repr(text) in str(error)
