"""Recurring times: weekends, nights, the last days of a month, in a zone's own time.

The words and their meaning are those of Alertmanager's time intervals
(https://prometheus.io/docs/alerting/latest/configuration/#time_interval): a list that is absent
holds always, times end before their end, ranges of days include theirs, and -1 is the last day of
a month. Daylight saving moves what the zone's clocks show, so 02:00 to 03:00 may come twice or
not at all.
"""

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.core.mistakes import Mistakes
from engine.core.policy_documents import CalendarDocument, IntervalDocument

_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAY_MINUTES = 24 * 60
# A leap day that is a certain weekday comes after at most 40 years; nobody waits for it.
_LOOK_AHEAD = timedelta(days=366 * 5)

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Interval:
    """Minutes of a day (the end excluded), and days; an empty part holds always."""

    times: tuple[Range, ...] = ()
    weekdays: tuple[Range, ...] = ()
    days_of_month: tuple[Range, ...] = ()
    months: tuple[Range, ...] = ()
    years: tuple[Range, ...] = ()

    def contains(self, local: datetime) -> bool:
        """Whether a zone's clock that shows this time is inside."""
        minute = local.hour * 60 + local.minute
        return (
            (not self.times or any(first <= minute < end for first, end in self.times))
            and _within(self.weekdays, (local.weekday() + 1) % 7)
            and self._has_day(local)
            and _within(self.months, local.month)
            and _within(self.years, local.year)
        )

    def _has_day(self, local: datetime) -> bool:
        if not self.days_of_month:
            return True
        length = monthrange(local.year, local.month)[1]
        for first, last in self.days_of_month:
            begin = first if first > 0 else length + 1 + first
            end = last if last > 0 else length + 1 + last
            # A month that is too short for a range has what it has of it.
            if max(begin, 1) <= local.day <= min(end, length):
                return True
        return False


def _within(ranges: Sequence[Range], value: int) -> bool:
    return not ranges or any(first <= value <= last for first, last in ranges)


@dataclass(frozen=True, slots=True)
class Calendar:
    """A named recurring time: any of its intervals, in one zone."""

    intervals: tuple[Interval, ...]
    zone: ZoneInfo

    def contains(self, moment: datetime) -> bool:
        """Whether an aware time is inside."""
        local = moment.astimezone(self.zone)
        return any(interval.contains(local) for interval in self.intervals)

    def next_change(self, after: datetime) -> datetime | None:
        """When that changes next, in UTC; None: not within five years."""
        inside = self.contains(after)
        day = after.astimezone(self.zone).date()
        last = day + _LOOK_AHEAD
        while day <= last:
            for moment in sorted(self._moments(day)):
                if moment > after and self.contains(moment) is not inside:
                    return moment
            day += timedelta(days=1)
        return None

    def _moments(self, day: date) -> Iterator[datetime]:
        """When something may change on a day of the zone: its ends, times, and clock changes."""
        minutes = {
            0,
            *(each for interval in self.intervals for span in interval.times for each in span),
        }
        for minute in minutes:
            if minute < _DAY_MINUTES:
                shown = datetime.combine(day, time(minute // 60, minute % 60))
                for fold in (0, 1):
                    # What a clock change leaves out is shown when it is over.
                    yield shown.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)
        yield from self._clock_change(day)

    def _clock_change(self, day: date) -> Iterator[datetime]:
        first = datetime.combine(day, time(), self.zone).astimezone(UTC)
        last = datetime.combine(day + timedelta(days=1), time(), self.zone).astimezone(UTC)
        if self._offset(first) == self._offset(last):
            return
        while last - first > timedelta(minutes=1):
            middle = first + (last - first) // 2
            middle = middle.replace(second=0, microsecond=0)
            if self._offset(middle) == self._offset(first):
                first = middle
            else:
                last = middle
        yield last

    def _offset(self, moment: datetime) -> timedelta | None:
        return moment.astimezone(self.zone).utcoffset()


def compile_calendars(
    documents: Mapping[str, CalendarDocument], mistakes: Mistakes
) -> Mapping[str, Calendar]:
    """The calendars by name; mistakes are noted where they stand, and leave theirs out."""
    found = {}
    for name, document in documents.items():
        before = len(mistakes.found)
        here = mistakes.at(name)
        zone = _zone(document.location, here.at("location"))
        if not document.intervals:
            here.add("there is no interval, so it never holds; write some under `intervals`")
        intervals = tuple(
            _interval(each, here.at("intervals", index))
            for index, each in enumerate(document.intervals)
        )
        if zone is not None and len(mistakes.found) == before:
            found[name] = Calendar(intervals, zone)
    return found


def _zone(name: str, mistakes: Mistakes) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        mistakes.add(f"there is no time zone {name!r}; write it like 'Europe/Berlin' or 'UTC'")
        return None


def _interval(document: IntervalDocument, mistakes: Mistakes) -> Interval:
    times = []
    for index, each in enumerate(document.times):
        here = mistakes.at("times", index)
        start, end = _minute(each.start_time, here), _minute(each.end_time, here)
        if start >= end and not here.found:
            here.add("it ends before it begins: write two, until 24:00 and from 00:00")
        times.append((start, end))
    return Interval(
        times=tuple(times),
        weekdays=_ranges(document.weekdays, _WEEKDAYS, (0, 6), mistakes.at("weekdays")),
        days_of_month=_ranges(document.days_of_month, (), (-31, 31), mistakes.at("days_of_month")),
        months=_ranges(document.months, _MONTHS, (1, 12), mistakes.at("months")),
        years=_ranges(document.years, (), (1970, 9999), mistakes.at("years")),
    )


def _minute(text: str, mistakes: Mistakes) -> int:
    hours, _, minutes = text.partition(":")
    if len(hours) == len(minutes) == 2 and hours.isdecimal() and minutes.isdecimal():
        found = int(hours) * 60 + int(minutes)
        if int(minutes) < 60 and found <= _DAY_MINUTES:
            return found
    mistakes.add(f"{text!r} is no time of a day; write it like '09:00', at most '24:00'")
    return 0


def _ranges(
    texts: Sequence[str], names: Sequence[str], bounds: Range, mistakes: Mistakes
) -> tuple[Range, ...]:
    found = []
    for index, text in enumerate(texts):
        here = mistakes.at(index)
        first, colon, last = text.strip().lower().partition(":")
        begin = _number(first, names, bounds, here)
        end = _number(last, names, bounds, here) if colon else begin
        if begin is None or end is None:
            continue
        # A day counted from a month's end can't be compared with one from its beginning.
        if begin > end and (begin >= 0) == (end >= 0):
            here.add(f"{text!r} ends before it begins; write two")
        elif begin < 0 < end:
            here.add(f"{text!r} begins at a month's end and ends at its beginning; write two")
        found.append((begin, end))
    return tuple(found)


def _number(text: str, names: Sequence[str], bounds: Range, mistakes: Mistakes) -> int | None:
    if text in names:
        # Of the week's days Sunday is the first, 0; months begin with 1.
        return names.index(text) + bounds[0]
    try:
        number = int(text)
    except ValueError:
        number = 0
        known = f" or a name like {names[1]!r}" if names else ""
        mistakes.add(f"{text!r} is no number{known}")
        return None
    lowest, highest = bounds
    if not lowest <= number <= highest or (lowest < 0 and not number):
        mistakes.add(
            f"{number} isn't between {lowest} and {highest}" + (", nor 0" if lowest < 0 else "")
        )
        return None
    return number
