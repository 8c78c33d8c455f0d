"""When the emergency address is told, and what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.emergency import (
    MAX_CHARACTERS,
    TELL_EVERY_S,
    Telling,
    Told,
    Trouble,
    over_text,
    trial_text,
    trouble_text,
    what_to_tell,
)

NOW_S = 100_000.0
STORE, STREAM = Trouble("store", "its store is away"), Trouble("stream", "it keeps no alert")


def told(minutes_ago: float, *names: str) -> Told:
    return Told(NOW_S - 60 * minutes_ago, frozenset(names))


TABLE: list[tuple[str, Told | None, list[Trouble], Telling]] = [
    ("all is well", None, [], "nothing"),
    ("a first trouble", None, [STORE], "trouble"),
    ("another trouble soon after", told(4.9, "store"), [STORE, STREAM], "nothing"),
    ("another trouble later", told(5, "store"), [STORE, STREAM], "trouble"),
    ("the same trouble", told(29, "store"), [STORE], "nothing"),
    ("the same trouble, half an hour later", told(30, "store"), [STORE], "trouble"),
    ("over, soon after", told(4.9, "store"), [], "nothing"),
    ("over", told(5, "store"), [], "over"),
    ("over, and told", told(90), [], "nothing"),
    ("again, soon after it was over", told(3), [STORE], "nothing"),
    ("again", told(5), [STORE], "trouble"),
]


@pytest.mark.parametrize(
    ("last", "troubles", "telling"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_what_is_told_follows_from_the_last_message_and_the_troubles(
    last: Told | None, troubles: list[Trouble], telling: Telling
) -> None:
    assert what_to_tell(last, troubles, NOW_S) == telling


@given(st.lists(st.tuples(st.integers(1, 200), st.sets(st.sampled_from("abc")))))
def test_messages_are_never_closer_than_five_minutes_and_alternate_with_their_ends(
    looks: list[tuple[int, set[str]]],
) -> None:
    last, now_s = None, NOW_S
    for passed_s, names in looks:
        now_s += passed_s
        telling = what_to_tell(last, [Trouble(name, name) for name in sorted(names)], now_s)
        if telling == "nothing":
            continue
        assert last is None or now_s - last.at_s >= TELL_EVERY_S
        assert (telling == "trouble") == bool(names)
        assert names or (last is not None and last.names)
        last = Told(now_s, frozenset(names))


def test_the_message_names_the_process_what_is_wrong_what_waits_and_where_to_look() -> None:
    text = trouble_text("ops-1/4242", [STORE, STREAM], 512)
    for part in ("ops-1/4242", "its store is away", "it keeps no alert", "512 alerts", "/readyz"):
        assert part in text
    assert "alerts are safe" not in trouble_text("ops-1/4242", [STORE], 0)
    assert "ops-1/4242" in over_text("ops-1/4242")
    assert "Nothing is wrong" in trial_text("ops-1/4242")


def test_the_message_is_bounded() -> None:
    text = trouble_text("p", [Trouble("store", "x" * 10_000)], 0)
    assert len(text) <= MAX_CHARACTERS
    assert text.endswith(" …")
