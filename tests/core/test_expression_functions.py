"""The documented functions exist, and quell's own ones do what their page says."""

from datetime import UTC, datetime, timedelta

import pytest

from engine.core.expression_functions import FUNCTIONS
from engine.core.expressions import ExpressionFailedError, Scope, ValueType, compile_expression

SCOPE = Scope(
    {
        "text": ValueType.STRING,
        "words": ValueType.list_of(ValueType.STRING),
        "x": ValueType.DOUBLE,
        "n": ValueType.INT,
        "started": ValueType.TIMESTAMP,
        "result": ValueType.DYN,
    }
)
VALUES = {
    "text": " A,b ",
    "words": ["b", "a"],
    "x": 2.5,
    "n": 2,
    "started": datetime(2026, 1, 31, tzinfo=UTC),
    "result": {"field": "r"},
}

RESULTS = {
    "split": ('text.split(",")', [" A", "b "]),
    "replace": ('text.replace(",", ";")', " A;b "),
    "trim": ("text.trim()", "A,b"),
    "lowerAscii": ("text.lowerAscii()", " a,b "),
    "upperAscii": ("text.upperAscii()", " A,B "),
    "join": ('words.join("-")', "b-a"),
    "indexOf": ('text.indexOf(",")', 2),
    "substring": ("text.substring(1, 2)", "A"),
    "size": ("size(words)", 2),
    "int": ('int("5") + n', 7),
    "double": ('double("1.5")', 1.5),
    "bool": ('bool("true")', True),
    "string": ("string(n)", "2"),
    "min of ints": ("min(3, n)", 2),
    "min of doubles": ("min(x, 1.5)", 1.5),
    "min of mixed numbers is a double": ("min(x, n)", 2.0),
    "max of mixed numbers is a double": ("max(3, x)", 3.0),
    "max of a list": ("max([1, 5, 3])", 5),
    "min of durations": ('min(duration("5m"), duration("1h"))', timedelta(minutes=5)),
    "max of timestamps": ("max(started, started)", datetime(2026, 1, 31, tzinfo=UTC)),
    "duration with days": ('duration("2d") == duration("48h")', True),
    "duration with weeks": ('duration("1w")', timedelta(weeks=1)),
    "duration of a value": ('duration(string(n) + "m")', timedelta(minutes=2)),
    "timestamp": ('started == timestamp("2026-01-31T00:00:00Z")', True),
    "exists_one": ('words.exists_one(each, each == "a")', True),
    "double less than int": ("x < 3", True),
    "int less than double": ("n < 2.5", True),
    "double equals int": ("x == 2", False),
    "int at least double": ("n >= 2.0", True),
    "has": ("has(result.field)", True),
}


@pytest.mark.parametrize(("text", "expected"), RESULTS.values(), ids=RESULTS)
def test_a_function_gives_what_its_page_says(text: str, expected: object) -> None:
    found = compile_expression(text, SCOPE).evaluate(VALUES)
    assert found == expected
    assert type(found) is type(expected)


FAILING = {
    "empty list": ("max([])", "an empty list has no min and no max"),
    "mixed list": ('max(["a", n])', "min and max take values of one type"),
    "no duration": ("duration(text)", "' A,b ' isn't a duration; write it like"),
}


@pytest.mark.parametrize(("text", "reason"), FAILING.values(), ids=FAILING)
def test_a_function_says_why_it_failed(text: str, reason: str) -> None:
    with pytest.raises(ExpressionFailedError, match=reason):
        compile_expression(text, SCOPE).evaluate(VALUES)


def test_every_page_shows_a_usage_of_its_function() -> None:
    assert all(f"{page.name}(" in page.usage for page in FUNCTIONS)
    names = [page.name for page in FUNCTIONS]
    assert names == sorted(names)
