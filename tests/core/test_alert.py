"""Notices become occurrences: repeats, late notices, expiries, in any order."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.core.alert import (
    MAX_ANNOTATION,
    MAX_ANNOTATIONS,
    MAX_LABEL_BYTES,
    MAX_LABELS,
    MAX_LINK,
    MAX_LINKS,
    Alert,
    AlertStatus,
    Occurrence,
    fingerprint_of,
    firing_of,
    receive,
    repeat,
    within_bounds,
)
from engine.errors import PayloadError

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def minute(n: float) -> datetime:
    return T0 + timedelta(minutes=n)


def notice(
    status: AlertStatus, received: float, *, starts: float = 0, ends: float | None = None
) -> Alert:
    return Alert(
        fingerprint="f",
        source="alertmanager",
        name="Down",
        status=status,
        labels={},
        annotations={},
        starts_at=minute(starts),
        ends_at=None if ends is None else minute(ends),
        received_at=minute(received),
    )


def after(*alerts: Alert) -> tuple[list[str], Occurrence]:
    current: Occurrence | None = None
    effects: list[str] = []
    for alert in alerts:
        found = receive(alert, current)
        effects.append(found.effect)
        current = found.occurrence
    assert current is not None
    return effects, current


def test_the_first_firing_notice_opens_and_the_next_repeats() -> None:
    effects, occurrence = after(notice("firing", 1), notice("firing", 2))
    assert effects == ["opened", "repeat"]
    assert (occurrence.is_open, occurrence.repeats) == (True, 1)


def test_a_pair_whose_starts_differ_is_one_occurrence_with_the_earliest_start() -> None:
    effects, occurrence = after(notice("firing", 1, starts=0.5), notice("firing", 1.1, starts=0.2))
    assert effects == ["opened", "repeat"]
    assert occurrence.started_at == minute(0.2)


def test_a_resolution_closes_it_and_a_new_interval_opens_another() -> None:
    effects, occurrence = after(
        notice("firing", 1),
        notice("resolved", 5, ends=4.5),
        notice("firing", 9, starts=8),
    )
    assert effects == ["opened", "resolved", "opened"]
    assert occurrence.started_at == minute(8)


def test_a_late_firing_notice_of_an_interval_that_ended_opens_nothing() -> None:
    effects, occurrence = after(
        notice("firing", 1),
        notice("resolved", 5, ends=4.5),
        notice("firing", 6, starts=0.1),
    )
    assert effects == ["opened", "resolved", "stale"]
    assert not occurrence.is_open


def test_a_resolution_that_comes_first_leaves_a_closed_occurrence_behind() -> None:
    effects, occurrence = after(notice("resolved", 5, ends=4), notice("firing", 6, starts=1))
    assert effects == ["stale", "stale"]
    assert not occurrence.is_open


def test_a_second_resolution_ends_an_interval_whose_firing_notice_is_still_under_way() -> None:
    effects, occurrence = after(
        notice("firing", 1),
        notice("resolved", 3, ends=2.5),
        notice("resolved", 7, ends=6.5),
        notice("firing", 8, starts=5),
    )
    assert effects == ["opened", "resolved", "stale", "stale"]
    assert not occurrence.is_open


def test_the_sources_own_event_time_orders_notices_where_it_has_one() -> None:
    newer = structs.replace(notice("resolved", 5), event_at=minute(4))
    older = structs.replace(notice("firing", 6), event_at=minute(3))
    effects, occurrence = after(
        structs.replace(notice("firing", 1), event_at=minute(1)), newer, older
    )
    assert effects == ["opened", "resolved", "stale"]
    assert not occurrence.is_open


def test_each_resend_moves_the_expiry() -> None:
    _, occurrence = after(
        structs.replace(notice("firing", 1), expires_at=minute(6)),
        structs.replace(notice("firing", 2), expires_at=minute(7)),
    )
    assert occurrence.expires_at == minute(7)


def test_an_end_in_the_future_is_cut_to_when_it_was_said() -> None:
    _, occurrence = after(notice("firing", 1), notice("resolved", 5, ends=90))
    assert occurrence.ended_at == minute(5)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_event_times_give_the_same_end_in_any_order(order: tuple[int, ...]) -> None:
    notices = [
        structs.replace(notice("firing", 0), event_at=minute(1)),
        structs.replace(notice("resolved", 0), event_at=minute(2)),
        structs.replace(notice("firing", 0), event_at=minute(3)),
    ]
    arrived = [structs.replace(notices[n], received_at=minute(10 + i)) for i, n in enumerate(order)]
    _, occurrence = after(*arrived)
    assert occurrence.is_open


labels = st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=5), max_size=4)


@given(labels, labels)
def test_a_fingerprint_tells_labels_apart_and_ignores_their_order(
    one: Mapping[str, str], other: Mapping[str, str]
) -> None:
    backwards = dict(reversed(list(one.items())))
    assert fingerprint_of("s", one) == fingerprint_of("s", backwards)
    assert (fingerprint_of("s", one) == fingerprint_of("s", other)) == (one == other)
    assert fingerprint_of("s", one) != fingerprint_of("t", one)


@pytest.mark.parametrize(
    ("service", "resource", "key"),
    [("llm", "gpu", "llm"), ("", "gpu", "gpu"), ("", "", "f")],
    ids=["service first", "else resource", "else fingerprint"],
)
def test_the_partition_key(service: str, resource: str, key: str) -> None:
    assert (
        structs.replace(notice("firing", 0), service=service, resource=resource).partition_key
        == key
    )


def with_texts(labels: Mapping[str, str], annotations: Mapping[str, str] | None = None) -> Alert:
    return structs.replace(notice("firing", 1), labels=labels, annotations=annotations or {})


OVER = [
    ({"a": "x" * (MAX_LABEL_BYTES + 1)}, {}, "labels.a", "2049 bytes"),
    ({"a": "ü" * (MAX_LABEL_BYTES // 2 + 1)}, {}, "labels.a", "2050 bytes"),
    ({"n" * (MAX_LABEL_BYTES + 1): "x"}, {}, "labels", "the name 'nnnn"),
    ({str(n): "x" for n in range(MAX_LABELS + 1)}, {}, "labels", "there are 129"),
    ({str(n): "x" * 2000 for n in range(10)}, {}, "labels", "at most 16384"),
    ({}, {str(n): "x" for n in range(MAX_LABELS + 1)}, "annotations", "there are 129"),
    ({}, {"n" * (MAX_LABEL_BYTES + 1): "x"}, "annotations", "2049 bytes"),
]


@pytest.mark.parametrize(
    ("labels", "annotations", "field", "problem"),
    OVER,
    ids=["value", "bytes", "name", "count", "together", "annotations", "annotation name"],
)
def test_what_tells_alerts_apart_is_never_cut(
    labels: Mapping[str, str], annotations: Mapping[str, str], field: str, problem: str
) -> None:
    with pytest.raises(PayloadError) as refused:
        within_bounds(with_texts(labels, annotations))
    assert refused.value.field == field
    assert problem in refused.value.problem


def test_a_field_that_is_no_label_has_the_same_bound() -> None:
    with pytest.raises(PayloadError, match="service: the text has 9000 bytes"):
        within_bounds(structs.replace(with_texts({"a": "b"}), service="x" * 9_000))


def test_a_usual_alert_stays_the_very_same() -> None:
    usual = with_texts({"a": "x" * MAX_LABEL_BYTES}, {"summary": "it is down"})
    assert within_bounds(usual) is usual


def test_annotations_are_cut_and_say_so_and_links_are_whole_or_none() -> None:
    long = with_texts({"a": "b"}, {str(n): "x" * 100_000 for n in range(100)})
    found = within_bounds(structs.replace(long, links=("https://a", "https://" + "b" * MAX_LINK)))
    assert found.annotations["0"].endswith("(cut; 100,000 characters)")
    assert sum(map(len, found.annotations.values())) <= MAX_ANNOTATIONS + 100 * 40
    assert found.links == ("https://a",)
    assert within_bounds(found) == found


def test_a_notice_with_an_event_time_that_comes_twice_opens_nothing_twice() -> None:
    first = structs.replace(notice("firing", 1), event_at=minute(1), expires_at=minute(5))
    again = structs.replace(notice("firing", 60), event_at=minute(1), expires_at=minute(65))
    opened = receive(first, None).occurrence
    expired = structs.replace(opened, ended_at=minute(5), ended_by="expiry")
    assert receive(again, expired).effect == "stale"
    assert receive(structs.replace(again, event_at=minute(2)), expired).effect == "opened"


@pytest.mark.parametrize(
    ("changes", "cut"),
    [
        pytest.param({}, False, id="small"),
        pytest.param({"annotations": {"a": "x" * MAX_ANNOTATION}}, False, id="the longest text"),
        pytest.param({"annotations": {"a": "x" * (MAX_ANNOTATION + 1)}}, True, id="one more"),
        pytest.param({"links": ("https://x",) * (MAX_LINKS + 1)}, True, id="too many links"),
        pytest.param({"links": ("h" * (MAX_LINK + 1),)}, True, id="too long a link"),
    ],
)
def test_only_what_is_over_a_bound_is_cut(changes: dict[str, Any], *, cut: bool) -> None:
    alert = structs.replace(with_texts({"a": "b"}), **changes)
    assert (within_bounds(alert) != alert) == cut


@pytest.mark.parametrize("field", ["name", "service", "resource", "target", "region"])
@pytest.mark.parametrize(
    ("text", "fits"),
    [
        pytest.param("x" * MAX_LABEL_BYTES, True, id="as many bytes as allowed"),
        pytest.param("x" * (MAX_LABEL_BYTES + 1), False, id="one more"),
        pytest.param("😀" * (MAX_LABEL_BYTES // 4), True, id="of four bytes each"),
        pytest.param("😀" * (MAX_LABEL_BYTES // 4) + "x", False, id="and one more"),
    ],
)
def test_a_text_of_an_alert_is_bounded_in_bytes(field: str, text: str, *, fits: bool) -> None:
    changes: dict[str, Any] = {field: text}
    alert = structs.replace(with_texts({"a": "b"}), **changes)
    if fits:
        assert within_bounds(alert) is alert
        return
    with pytest.raises(PayloadError) as error:
        within_bounds(alert)
    assert error.value.field == field


def expiring(minutes: float | None) -> datetime | None:
    return None if minutes is None else minute(minutes)


MINUTES = st.integers(-2, 12)


@given(
    status=st.sampled_from(["firing", "resolved"]),
    at=MINUTES,
    starts=MINUTES,
    expires=st.none() | MINUTES,
    known_expires=st.none() | MINUTES,
    ended=st.none() | MINUTES,
)
def test_a_repeat_alone_comes_to_the_same_as_the_whole(
    *,
    status: AlertStatus,
    at: int,
    starts: int,
    expires: int | None,
    known_expires: int | None,
    ended: int | None,
) -> None:
    first = structs.replace(notice("firing", 2, starts=1), expires_at=expiring(known_expires))
    known = structs.replace(receive(first, None).occurrence, ended_at=expiring(ended))
    again = structs.replace(notice(status, at, starts=starts), expires_at=expiring(expires))
    firing = firing_of(known)
    assert (firing is None) == (ended is not None)
    after = None if firing is None else repeat(again, firing)
    whole = receive(again, known)
    if after is not None:
        assert ("repeat", after.of(known)) == (whole.effect, whole.occurrence)
        assert firing is not None
        assert after.kept_expiry == firing.expires_at
    elif known_expires is None and expires is None and starts >= 1:
        assert whole.effect != "repeat", "nothing but a repeat is told from the whole"


def test_a_repeat_that_a_rule_counts_needs_the_whole() -> None:
    opened = receive(notice("firing", 0), None).occurrence
    assert firing_of(structs.replace(opened, heard_by=("often",))) is None


@pytest.mark.parametrize(
    ("at", "expires", "alone"),
    [
        pytest.param(1, 5, True, id="most of the time is left"),
        pytest.param(2, 6, True, id="half is left"),
        pytest.param(3, 7, False, id="less than half is left"),
        pytest.param(1, 3, False, id="the expiry comes earlier"),
        pytest.param(1, None, False, id="it doesn't expire any more"),
        pytest.param(5, 9, False, id="it has expired"),
    ],
)
def test_the_whole_row_is_never_behind_by_more_than_half_of_the_time_to_the_expiry(
    at: float, expires: float | None, *, alone: bool
) -> None:
    opened = receive(structs.replace(notice("firing", 0), expires_at=minute(4)), None).occurrence
    firing = firing_of(opened)
    assert firing is not None
    again = structs.replace(notice("firing", at), expires_at=expiring(expires))
    assert (repeat(again, firing) is not None) == alone
