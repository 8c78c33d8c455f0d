"""Prometheus durations: `1h30m` as a span of time, and a span of time as `1h30m`."""

from datetime import timedelta
from functools import lru_cache

# Prometheus' units, largest first; each may appear once, in this order.
_UNIT_MS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
_SPELLED_UNITS = ("d", "h", "m", "s", "ms")
_DIGITS = frozenset("0123456789")
_LONGEST_MS = 100 * _UNIT_MS["y"]


@lru_cache(maxsize=1024)
def parse_duration(text: str) -> timedelta:
    """`1h30m` as a span of time; units y, w, d, h, m, s, ms, largest first; `0` needs none.

    Raises ValueError, with an example, for anything else, and for more than 100 years. Kept
    for a while: the same few stand in every file.
    https://prometheus.io/docs/prometheus/latest/querying/basics/#float-literals-and-time-durations
    """
    if text == "0":
        return timedelta(0)
    total_ms = 0
    units = list(_UNIT_MS)
    at = 0
    while at < len(text):
        digits_end = at
        while digits_end < len(text) and text[digits_end] in _DIGITS:
            digits_end += 1
        unit_end = digits_end
        while unit_end < len(text) and text[unit_end].isalpha():
            unit_end += 1
        unit = text[digits_end:unit_end]
        if not 0 < digits_end - at <= 15 or unit not in units:
            raise ValueError(_refusal(text))
        total_ms += int(text[at:digits_end]) * _UNIT_MS[unit]
        units = units[units.index(unit) + 1 :]
        at = unit_end
    if not text:
        raise ValueError(_refusal(text))
    if total_ms > _LONGEST_MS:
        raise ValueError(f"{text!r} is longer than 100 years; write a shorter duration, like '30d'")
    return timedelta(milliseconds=total_ms)


def format_duration(span: timedelta) -> str:
    """The shortest spelling that `parse_duration` reads back, rounded down to a millisecond.

    Weeks and years are spelled in days, because nobody reads 90 days as 12w6d. Raises ValueError
    for a negative span, which Prometheus can't spell.
    """
    left_ms = span // timedelta(milliseconds=1)
    if left_ms < 0:
        raise ValueError(f"{span} is negative; a duration is 0s or longer")
    parts = []
    for unit in _SPELLED_UNITS:
        count, left_ms = divmod(left_ms, _UNIT_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _refusal(text: str) -> str:
    return (
        f"{text!r} isn't a duration; write it like '30s', '5m', '1h30m' or '2d' "
        "(units y, w, d, h, m, s, ms, largest first, each once)"
    )
