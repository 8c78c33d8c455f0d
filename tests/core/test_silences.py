from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from engine.core.calendars import Calendar, compile_calendars
from engine.core.matchers import parse_matcher
from engine.core.mistakes import Mistakes
from engine.core.policy_documents import CalendarDocument
from engine.core.silences import (
    RecurringSilence,
    Silence,
    SilenceBook,
    check_matchers,
    silence_id,
)
from engine.errors import PermanentError

START = datetime(2026, 1, 3, 12, tzinfo=UTC)  # a Saturday
HOUR = timedelta(hours=1)


def silence(name: str, *matchers: str, hours: int = 1) -> Silence:
    return Silence(name, matchers, START, START + hours * HOUR, "me", "why")


def weekend() -> Calendar:
    written = {"intervals": [{"weekdays": ["saturday", "sunday"]}]}
    document = CalendarDocument.model_validate(written)
    return compile_calendars({"c": document}, Mistakes())["c"]


def test_the_longest_silence_over_an_alert_counts_and_ends_exactly_then() -> None:
    book = SilenceBook([silence("a", "service=llm"), silence("b", "zone=~x.*", hours=2)])
    found = book.over({"service": "llm", "zone": "xy"}, "", START)
    assert found is not None
    assert (found.by, found.until, found.why) == ("b", START + 2 * HOUR, "me: why")
    assert book.over({"service": "llm"}, "", START + HOUR) is None
    assert book.over({"service": "llm"}, "", START - HOUR) is None
    assert book.over({"service": "other"}, "", START) is None
    assert SilenceBook().over({"service": "llm"}, "", START) is None


@pytest.mark.parametrize(
    ("targets", "target", "is_silenced"),
    [
        pytest.param((), "gpu-08", True, id="of any target"),
        pytest.param(("gpu-07",), "gpu-07", True, id="of its target"),
        pytest.param(("gpu-07",), "gpu-08", False, id="of another"),
        pytest.param(("gpu-07",), "", False, id="of none that is known"),
    ],
)
def test_one_with_targets_is_for_their_alerts_alone(
    targets: tuple[str, ...], target: str, is_silenced: bool
) -> None:
    book = SilenceBook([replace(silence("a", "service=llm"), targets=targets)])
    assert (book.over({"service": "llm"}, target, START) is not None) == is_silenced


def test_a_recurring_one_lasts_while_its_calendar_holds() -> None:
    recurring = RecurringSilence("weekend", weekend(), (parse_matcher("service=llm"),), "quiet")
    book = SilenceBook([silence("a", "service=x")], [recurring])
    found = book.over({"service": "llm"}, "", START)
    assert found is not None
    assert (found.by, found.why) == ("weekend", "quiet")
    assert found.until == datetime(2026, 1, 5, tzinfo=UTC)
    assert book.over({"service": "llm"}, "", datetime(2026, 1, 5, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("matchers", "message"),
    [
        ([], "1 to 20 matchers, not 0"),
        (["a=b"] * 21, "not 21"),
        (["a~b"], "matcher 'a~b'"),
        (["a=~.*", "b!=x"], "would silence every alert"),
    ],
)
def test_what_can_not_be_a_silence_is_refused(matchers: list[str], message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        check_matchers(matchers)


def test_an_imported_one_keeps_its_id_whatever_changes_there() -> None:
    assert silence_id("me", ["a=b"], START, "http://x/1") == silence_id(
        "you", [], START, "http://x/1"
    )
    assert silence_id("me", ["a=b"], START) != silence_id("me", ["a=b"], START + HOUR)
