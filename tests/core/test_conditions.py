"""What is counted is bounded, and says the same in whatever order it came."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from engine.core.conditions import AllOf, Inhibition, Mark, enough, lately, marked
from engine.core.matchers import parse_matcher

START = datetime(2026, 1, 1, tzinfo=UTC)
marks = st.lists(
    st.builds(
        Mark,
        st.sampled_from("abcdef"),
        st.integers(0, 600).map(lambda s: START + timedelta(seconds=s)),
    ),
    min_size=1,
    max_size=30,
)
WITHIN = timedelta(minutes=2)


def naive(all_marks: list[Mark], at_least: int) -> bool:
    """So many different things, each by its latest mark, in the time before the latest of all."""
    latest: dict[str, datetime] = {}
    for mark in all_marks:
        latest[mark.of] = max(mark.at, latest.get(mark.of, mark.at))
    end = max(latest.values())
    return sum(end - at <= WITHIN for at in latest.values()) >= at_least


@given(marks, st.integers(2, 5))
def test_as_many_marks_as_are_asked_for_tell_whether_there_are_so_many(
    given_marks: list[Mark], at_least: int
) -> None:
    kept: tuple[Mark, ...] = ()
    for mark in sorted(given_marks, key=lambda each: each.at):
        kept = marked(kept, mark, at_least)
        assert len(kept) <= at_least
    assert enough(kept, at_least, WITHIN) == naive(given_marks, at_least)


@given(marks.flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
def test_the_order_of_marks_does_not_matter_while_all_are_kept(
    orders: tuple[list[Mark], list[Mark]],
) -> None:
    one, other = orders
    kept_one: tuple[Mark, ...] = ()
    kept_other: tuple[Mark, ...] = ()
    for mark in one:
        kept_one = marked(kept_one, mark, 100)
    for mark in other:
        kept_other = marked(kept_other, mark, 100)
    assert kept_one == kept_other


def test_exactly_as_long_ago_as_the_time_still_counts() -> None:
    found = (Mark("a", START), Mark("b", START + WITHIN))
    assert enough(found, 2, WITHIN)
    assert not enough(found, 2, WITHIN - timedelta(microseconds=1))
    assert lately(found, WITHIN, START + WITHIN) == {"a", "b"}
    assert lately(found, WITHIN, START + 2 * WITHIN) == {"b"}


def test_inhibitions_of_the_same_words_share_their_keys() -> None:
    def inhibition(matcher: str, *equal: str) -> Inhibition:
        return Inhibition((parse_matcher(matcher),), equal)

    values = {"region": "fra"}
    one = inhibition("a=b", "region")
    assert one.key(lambda name: values.get(name, "")) == inhibition("a=b", "region").key(
        lambda _: "fra"
    )
    assert one.key(lambda _: "fra") != one.key(lambda _: "ams")
    assert one.key(lambda _: "fra") != inhibition("a=c", "region").key(lambda _: "fra")


def test_an_alert_is_the_first_part_that_it_meets() -> None:
    all_of = AllOf(((parse_matcher("a=1"),), (parse_matcher("b=2"),)), WITHIN)
    assert all_of.part_of({"a": "1", "b": "2"}) == 0
    assert all_of.part_of({"b": "2"}) == 1
    assert all_of.part_of({}) is None
