"""What stands still is found by what waits and what moves, and by nothing else."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.alert import receive
from engine.core.progress import (
    EXPIRES_AFTER,
    STALLED_S,
    Seen,
    Standing,
    follow,
    partition_part,
    stall_alert,
)
from tests.doubles.virtual_time import START

EVERY_S = 5.0
# (waiting, mark) at each look.
Looks = list[tuple[int, int]]


def after(looks: Looks, every_s: float = EVERY_S) -> Standing:
    """The standing of one part after these looks."""
    standing: dict[str, Standing] = {}
    now = START
    for waiting, mark in looks:
        now += timedelta(seconds=every_s)
        standing = follow(standing, [Seen("partition 0", waiting, mark)], now, every_s)
    return standing["partition 0"]


TABLE: list[tuple[str, Looks, float]] = [
    ("the first look tells nothing", [(5, 0)], 0),
    ("work that waits and no success", [(5, 0)] * 4, 15),
    ("more comes, and nothing gets done", [(5, 0), (9, 0), (700, 0)], 10),
    ("nothing waits", [(0, 7)] * 9, 0),
    ("work that comes after a long rest", [(0, 7)] * 9 + [(1, 7)], 0),
    ("one success in between", [(5, 0)] * 9 + [(5, 500), (5, 500)], 5),
    ("everything was done in between", [(5, 0)] * 9 + [(0, 500), (3, 500)], 0),
    ("a position that was set back", [(5, 9)] * 9 + [(8, 3)], 0),
]


@pytest.mark.parametrize(
    ("looks", "stood_s"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_only_time_without_a_success_while_something_waits_counts(
    looks: Looks, stood_s: float
) -> None:
    assert after(looks).stood_s == stood_s


def test_it_has_stalled_after_a_minute() -> None:
    looks = int(STALLED_S / EVERY_S)
    assert not after([(1, 0)] * looks).is_stalled
    stalled = after([(1, 0)] * (looks + 1))
    assert stalled.is_stalled
    assert stalled.since == START + timedelta(seconds=EVERY_S)
    assert stalled.sentence == (
        "partition 0: 1 record waiting, and none was taken since 2026-03-01 12:00:05 UTC, "
        "60 s of that with store and stream at hand"
    )


def test_time_that_does_not_count_changes_nothing() -> None:
    before = {"p": Standing(Seen("p", 3, 0), START, 55.0)}
    later = START + timedelta(hours=1)
    assert follow(before, [Seen("p", 3, 0)], later, 0.0)["p"].stood_s == 55.0


def test_a_part_that_is_no_longer_there_is_forgotten() -> None:
    before = {"p": Standing(Seen("p", 3, 0), START, 55.0)}
    assert follow(before, [], START, 5.0) == {}


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_what_stands_has_stood_for_the_looks_since_its_last_success(looks: Looks) -> None:
    standing = after(looks)
    last = len(looks) - 1
    same = 0
    while (
        last - same > 0
        and looks[last][0]
        and looks[last - same - 1][0]
        and looks[last - same - 1][1] == looks[last][1]
    ):
        same += 1
    assert standing.stood_s == same * EVERY_S
    assert standing.since == START + timedelta(seconds=(len(looks) - same) * EVERY_S)


def test_the_alert_of_every_process_is_the_same_occurrence_until_it_ends_or_expires() -> None:
    here = Standing(Seen(partition_part(3), 7, 0), START, 60.0)
    there = Standing(Seen(partition_part(3), 8, 0), START + timedelta(seconds=2), 61.0)
    now = START + timedelta(minutes=1)
    first, second = stall_alert(here, "firing", now), stall_alert(there, "firing", now)
    assert first.fingerprint == second.fingerprint
    other = stall_alert(Standing(Seen(partition_part(4), 7, 0), START, 60.0), "firing", now)
    assert other.fingerprint != first.fingerprint
    opened = receive(first, None)
    assert opened.effect == "opened"
    assert opened.occurrence.expires_at == now + EXPIRES_AFTER
    assert receive(second, opened.occurrence).effect == "repeat"
    ended = receive(stall_alert(here, "resolved", now), opened.occurrence)
    assert (ended.effect, ended.occurrence.ended_at) == ("resolved", now)


def test_the_alert_says_what_waits_and_what_to_do() -> None:
    standing = Standing(Seen("tasks", 2, 0, "due task"), START, 60.0)
    alert = stall_alert(standing, "firing", START)
    assert alert.labels["part"] == "tasks"
    assert (alert.source, alert.service, alert.severity_hint) == ("quell", "quell", "critical")
    assert "tasks: 2 due tasks waiting" in alert.annotations["summary"]
    assert "restart" in alert.annotations["description"]
    assert stall_alert(standing, "firing", START, "x").annotations["description"] == "x"
