"""Where the alerts of a replay come from."""

from dataclasses import replace
from datetime import timedelta

from engine.app.histories import PROBLEMS_TOLD, AlertLines, at_source_times, between
from engine.core.records import alert_json
from tests.doubles.declarations import AT, firing

HOUR = timedelta(hours=1)


def test_lines_that_are_no_alert_are_told_and_the_others_are_read() -> None:
    alert = firing("Down", service="a")
    lines = AlertLines([b"{}\n", b"\n", alert_json(alert).encode() + b"\n", b"no"])
    assert list(lines) == [alert]
    assert lines.unread == 2
    assert lines.problems[0].startswith("line 1: fingerprint: Field required; a line is one alert")
    assert lines.problems[1].startswith("line 4: ")


def test_a_file_of_another_kind_has_few_problems_and_their_number() -> None:
    lines = AlertLines([b"{}"] * 100)
    assert list(lines) == []
    assert (len(lines.problems), lines.unread) == (PROBLEMS_TOLD, 100)


def test_by_the_times_of_the_source_what_happened_first_comes_first() -> None:
    late = replace(firing("Late"), starts_at=AT + HOUR, expires_at=AT + timedelta(minutes=5))
    over = replace(firing("Over"), status="resolved", ends_at=AT + 2 * HOUR)
    told = replace(firing("Told"), event_at=AT - HOUR)
    found = at_source_times([over, late, firing("Now"), told])
    assert [(each.name, each.received_at - AT) for each in found] == [
        ("Told", -HOUR),
        ("Now", timedelta(0)),
        ("Late", HOUR),
        ("Over", 2 * HOUR),
    ]
    assert found[2].expires_at == AT + HOUR + timedelta(minutes=5)


def test_a_range_begins_with_its_first_moment_and_ends_before_its_last() -> None:
    alerts = [replace(firing("A"), received_at=AT + n * HOUR) for n in range(4)]
    inside = between(alerts, AT + HOUR, AT + 3 * HOUR)
    assert [each.received_at - AT for each in inside] == [HOUR, 2 * HOUR]
    assert list(between(alerts, None, None)) == alerts
