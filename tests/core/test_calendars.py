"""Recurring times against a naive look at every minute, over clock changes too."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.calendars import Calendar, compile_calendars
from engine.core.mistakes import Mistakes
from engine.core.policy_documents import CalendarDocument


def calendar(interval: Mapping[str, object], location: str = "UTC") -> Calendar:
    mistakes = Mistakes()
    document = CalendarDocument.model_validate({"location": location, "intervals": [interval]})
    found = compile_calendars({"c": document}, mistakes)
    assert not mistakes.found
    return found["c"]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


NIGHT = {"times": [{"start_time": "02:00", "end_time": "03:00"}]}


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        pytest.param({}, ["2026-01-01T00:00Z"], [], id="always"),
        pytest.param(
            {"times": [{"start_time": "09:00", "end_time": "17:00"}]},
            ["2026-01-01T09:00Z", "2026-01-01T16:59:59Z"],
            ["2026-01-01T08:59:59Z", "2026-01-01T17:00Z"],
            id="the-end-is-excluded",
        ),
        pytest.param(
            {"times": [{"start_time": "22:00", "end_time": "24:00"}]},
            ["2026-01-01T23:59Z"],
            ["2026-01-02T00:00Z"],
            id="until-midnight",
        ),
        pytest.param(
            {"weekdays": ["saturday", "Sunday"]},
            ["2026-01-03T12:00Z", "2026-01-04T12:00Z"],
            ["2026-01-05T00:00Z"],
            id="weekend",
        ),
        pytest.param(
            {"weekdays": ["monday:friday"]},
            ["2026-01-05T00:00Z", "2026-01-09T23:59Z"],
            ["2026-01-10T00:00Z"],
            id="weekdays",
        ),
        pytest.param(
            {"days_of_month": ["1:2", "-2:-1"]},
            ["2026-02-02T00:00Z", "2026-02-27T00:00Z", "2024-02-29T00:00Z"],
            ["2026-02-03T00:00Z", "2026-02-26T00:00Z", "2024-02-27T00:00Z"],
            id="days-from-the-end",
        ),
        pytest.param(
            {"days_of_month": ["30:31"]},
            ["2026-04-30T00:00Z"],
            ["2026-02-28T00:00Z"],
            id="a-month-that-is-too-short",
        ),
        pytest.param(
            {"days_of_month": ["20:-5"]},
            ["2026-02-20T00:00Z", "2026-02-24T00:00Z"],
            ["2026-02-19T00:00Z", "2026-02-25T00:00Z"],
            id="from-a-day-to-one-from-the-end",
        ),
        pytest.param(
            {"months": ["december", "1:2"], "years": ["2026:2027"]},
            ["2026-12-31T00:00Z", "2027-02-01T00:00Z"],
            ["2026-03-01T00:00Z", "2028-01-01T00:00Z"],
            id="months-and-years",
        ),
    ],
)
def test_what_is_inside(interval: dict[str, object], inside: list[str], outside: list[str]) -> None:
    found = calendar(interval)
    assert [each for each in inside if not found.contains(at(each))] == []
    assert [each for each in outside if found.contains(at(each))] == []


def test_a_night_that_clocks_leave_out_and_one_that_comes_twice() -> None:
    night = calendar(NIGHT, "Europe/Berlin")
    # 29 March 2026: 02:00 becomes 03:00.
    assert night.next_change(at("2026-03-28T12:00Z")) == at("2026-03-30T00:00Z")
    # 25 October 2026: 03:00 becomes 02:00, so the hour is two.
    assert night.next_change(at("2026-10-24T12:00Z")) == at("2026-10-25T00:00Z")
    assert night.next_change(at("2026-10-25T00:30Z")) == at("2026-10-25T02:00Z")


def test_what_never_changes_has_no_next_change() -> None:
    assert calendar({}).next_change(at("2026-01-01T00:00Z")) is None
    past = calendar({"years": ["2020"]})
    assert past.next_change(at("2026-01-01T00:00Z")) is None


ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
hours = st.integers(0, 22).flatmap(
    lambda start: st.tuples(st.just(start), st.integers(start + 1, 23))
)
intervals = st.fixed_dictionaries(
    {},
    optional={
        "times": hours.map(
            lambda span: [{"start_time": f"{span[0]:02}:30", "end_time": f"{span[1]:02}:45"}]
        ),
        "weekdays": st.sampled_from((["sunday"], ["monday:friday"], ["2:4"])),
        "days_of_month": st.sampled_from((["1"], ["-1"], ["25:-2"], ["28:31"])),
    },
)
# Around the clock changes of all these zones, and a month's end.
moments = st.sampled_from(
    tuple(
        datetime.fromisoformat(day).replace(tzinfo=UTC)
        for day in ("2026-03-08", "2026-03-28", "2026-04-04", "2026-10-24", "2026-11-01")
    )
).flatmap(lambda day: st.integers(0, 3000).map(lambda minutes: day + timedelta(minutes=minutes)))


@settings(max_examples=60, deadline=None)
@given(intervals, st.sampled_from(ZONES), moments)
def test_the_next_change_is_the_first_minute_that_differs(
    interval: dict[str, object], zone: str, after: datetime
) -> None:
    found = calendar(interval, zone)
    inside = found.contains(after)
    expected = next(
        (
            minute
            for n in range(1, 3 * 24 * 60)
            if found.contains(minute := after + timedelta(minutes=n)) is not inside
        ),
        None,
    )
    told = found.next_change(after)
    if expected is None:
        assert told is None or told > after + timedelta(days=3) - timedelta(minutes=1)
    else:
        assert told == expected
        assert told.astimezone(ZoneInfo(zone)).second == 0


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        ({"intervals": []}, "c", "there is no interval"),
        ({"location": "Berlin", "intervals": [{}]}, "c.location", "no time zone 'Berlin'"),
        (
            {"intervals": [{"times": [{"start_time": "9:00", "end_time": "10:00"}]}]},
            "c.intervals.0.times.0",
            "'9:00' is no time of a day",
        ),
        (
            {"intervals": [{"times": [{"start_time": "22:00", "end_time": "06:00"}]}]},
            "c.intervals.0.times.0",
            "it ends before it begins",
        ),
        ({"intervals": [{"weekdays": ["mo"]}]}, "c.intervals.0.weekdays.0", "name like 'monday'"),
        ({"intervals": [{"weekdays": ["saturday:sunday"]}]}, "c.intervals.0.weekdays.0", "two"),
        ({"intervals": [{"days_of_month": ["0"]}]}, "c.intervals.0.days_of_month.0", "nor 0"),
        ({"intervals": [{"days_of_month": ["-3:5"]}]}, "c.intervals.0.days_of_month.0", "two"),
        ({"intervals": [{"months": ["13"]}]}, "c.intervals.0.months.0", "between 1 and 12"),
    ],
)
def test_a_mistake_is_told_where_it_stands(
    document: dict[str, object], path: str, message: str
) -> None:
    mistakes = Mistakes()
    found = compile_calendars({"c": CalendarDocument.model_validate(document)}, mistakes)
    assert found == {}
    assert [".".join(map(str, each.path)) for each in mistakes.found] == [path]
    assert message in mistakes.found[0].message
