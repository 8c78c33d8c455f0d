"""Dead letters on each database."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, insert

from engine.ports.rows import DeadLetter, DeadLetterUsage
from engine.ports.store import Store, Tx
from engine.store.dead_letter_rows import (
    LISTED_BYTES,
    dead_letter_usage,
    find_dead_letters,
    measure_dead_letters,
)
from engine.store.tables import dead_letters
from tests.services.stores import START


async def test_a_dead_letter_is_kept_once_and_counted(store: Store) -> None:
    first = DeadLetter("d1", "am", "bad \0 \ud800", "alerts[0]", b"\0\xff", START, START)
    again = replace(first, last_at=START + timedelta(hours=2))
    other = replace(first, id="d2", last_at=START + timedelta(hours=1))
    await store.write(lambda tx: tx.put_dead_letter(first))
    await store.write(lambda tx: tx.put_dead_letter(other))
    await store.write(lambda tx: tx.put_dead_letter(again))
    kept = [
        replace(again, reason="bad \ufffd ?", count=2),
        replace(other, reason="bad \ufffd ?"),
    ]
    assert await store.read(lambda tx: tx.dead_letters(10)) == kept
    assert await store.read(lambda tx: tx.dead_letters(1)) == kept[:1]


def a_letter(name: str, minutes: int = 0, body: bytes = b"{}") -> DeadLetter:
    at = START + timedelta(minutes=minutes)
    return DeadLetter(name, "am", "bad", "", body, at, at)


async def kept(store: Store, *letters: DeadLetter) -> None:
    def keep(tx: Tx) -> None:
        for letter in letters:
            tx.put_dead_letter(letter)

    await store.write(keep)


async def pages(store: Store, *, waiting: bool) -> list[list[str]]:
    """The ids, two a page."""

    def read(tx: Tx) -> list[list[str]]:
        found: list[list[str]] = []
        while page := tx.dead_letters(2, waiting=waiting, after=found[-1][-1] if found else ""):
            found.append([each.id for each in page])
        return found

    return await store.read(read)


async def test_pages_follow_each_other_and_can_leave_out_what_was_replayed(store: Store) -> None:
    # Two were seen at the same time, so that the id decides.
    await kept(store, a_letter("a", 1), a_letter("b", 3), a_letter("c", 3), a_letter("d", 2))
    await kept(store, a_letter("e", 0))
    assert await pages(store, waiting=False) == [["b", "c"], ["d", "a"], ["e"]]
    assert await store.write(lambda tx: tx.mark_replayed("c"))
    assert await pages(store, waiting=True) == [["b", "d"], ["a", "e"]]
    assert await store.read(lambda tx: tx.dead_letters(2, after="gone")) == ()


async def test_a_list_carries_the_beginning_of_a_body_and_a_search_the_whole(store: Store) -> None:
    large = a_letter("large", body=bytes(range(256)) * 100)
    await store.write(lambda tx: tx.put_dead_letter(large))
    (listed,) = await store.read(lambda tx: tx.dead_letters(10))
    assert listed.body == large.body[:LISTED_BYTES]
    assert listed.left_out == len(large.body) - LISTED_BYTES
    assert await store.read(lambda tx: tx.find_dead_letters("lar")) == [large]


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("aa", ["aa1", "aa2"]),
        ("AB", ["ab1"]),
        ("aa1", ["aa1"]),
        ("b", []),
        ("", []),
        ("a%", []),
        ("~", []),
    ],
)
async def test_a_prefix_finds_at_most_two_that_begin_with_it(
    store: Store, prefix: str, names: list[str]
) -> None:
    await kept(store, *(a_letter(name) for name in ("aa1", "aa2", "aa3", "ab1")))
    found = await store.read(lambda tx: tx.find_dead_letters(prefix))
    assert [each.id for each in found] == names


async def test_it_is_replayed_once_until_it_comes_again(store: Store) -> None:
    letter = replace(a_letter("d1"), is_part=True, record_key="k \ud800")
    await store.write(lambda tx: tx.put_dead_letter(letter))
    assert await store.write(lambda tx: tx.mark_replayed("d1"))
    (kept,) = await store.read(lambda tx: tx.find_dead_letters("d1"))
    assert kept.replayed_at is not None
    assert (kept.is_part, kept.record_key) == (True, "k ?")
    assert not await store.write(lambda tx: tx.mark_replayed("d1"))
    assert not await store.write(lambda tx: tx.mark_replayed("d2"))
    await store.write(lambda tx: tx.put_dead_letter(letter))
    (again,) = await store.read(lambda tx: tx.find_dead_letters("d1"))
    assert (again.replayed_at, again.count) == (None, 2)


async def test_a_new_reason_replaces_the_old_one_and_counts_nothing(store: Store) -> None:
    letter = a_letter("d1")
    await store.write(lambda tx: tx.put_dead_letter(letter))
    await store.write(lambda tx: tx.restate_dead_letter("d1", "worse", "alerts[1]"))
    found = await store.read(lambda tx: tx.find_dead_letters("d1"))
    assert found == [replace(letter, reason="worse", field="alerts[1]")]


async def usage(store: Store) -> DeadLetterUsage:
    return await store.read(lambda tx: tx.dead_letter_usage())


async def corrected(store: Store) -> None:
    drift = await store.read(lambda tx: tx.dead_letter_drift())
    await store.write(lambda tx: tx.count(drift))
    assert await store.read(lambda tx: tx.dead_letter_drift()) == {}


async def test_what_all_letters_take_is_known(store: Store) -> None:
    assert await usage(store) == DeadLetterUsage(0, 0, 0)
    await kept(store, a_letter("a", body=b"12345"), a_letter("b", body=b""))
    await kept(store, a_letter("a", body=b"12345"), replace(a_letter("c", body=b""), left_out=9))
    assert await usage(store) == DeadLetterUsage(3, 5, 1)
    assert await store.read(lambda tx: tx.dead_letter_drift()) == {}


async def test_a_transaction_counts_what_it_has_put_so_far(store: Store) -> None:
    def work(tx: Tx) -> list[DeadLetterUsage]:
        found = []
        for name in "ab":
            tx.put_dead_letter(a_letter(name))
            found.append(tx.dead_letter_usage())
        return found

    assert await store.write(work) == [DeadLetterUsage(1, 2, 0), DeadLetterUsage(2, 4, 0)]


async def test_whether_a_letter_is_new_is_told(store: Store) -> None:
    assert await store.write(lambda tx: [tx.put_dead_letter(a_letter(n)) for n in "aba"]) == [
        True,
        True,
        False,
    ]


async def test_one_without_its_body_says_how_much_that_was_until_it_is_kept(store: Store) -> None:
    whole = a_letter("a", body=b"x" * 9_000)
    without = replace(whole, body=b"", left_out=9_000)
    await kept(store, without)
    for find in (lambda tx: tx.dead_letters(9), lambda tx: tx.find_dead_letters("a")):
        assert await store.read(find) == [without]
    await kept(store, without, whole, without)
    (found,) = await store.read(lambda tx: tx.find_dead_letters("a"))
    assert (found.body, found.left_out, found.count) == (whole.body, 0, 4)
    await corrected(store)
    assert await usage(store) == DeadLetterUsage(1, 9_000, 0)


async def test_old_letters_go_and_one_that_was_seen_again_meanwhile_stays(store: Store) -> None:
    hour = timedelta(hours=1)
    await kept(
        store, *(a_letter(name, minutes) for name, minutes in [("a", 0), ("b", 90), ("c", 1)])
    )
    before, never = START + hour, START - hour
    old = await store.read(lambda tx: tx.old_dead_letters(before, never, 9))
    assert old == [("a", 2), ("c", 2)]
    assert await store.read(lambda tx: tx.old_dead_letters(before, never, 1)) == [("a", 2)]
    await kept(store, a_letter("a", 120))
    ids = [letter for letter, _ in old]
    assert await store.write(lambda tx: tx.remove_dead_letters(ids, before, never)) == 1
    assert [each.id for each in await store.read(lambda tx: tx.dead_letters(9))] == ["a", "b"]
    await corrected(store)
    assert await usage(store) == DeadLetterUsage(2, 4, 0)


async def test_replayed_letters_go_by_the_time_of_their_replay(store: Store) -> None:
    await kept(store, a_letter("a"), a_letter("b"))
    await store.write(lambda tx: tx.mark_replayed("a"))
    (at,) = [each.replayed_at for each in await store.read(lambda tx: tx.find_dead_letters("a"))]
    assert at is not None
    long_ago, soon = START - timedelta(days=9), at + timedelta(seconds=1)
    assert await store.read(lambda tx: tx.old_dead_letters(long_ago, at, 9)) == []
    assert await store.read(lambda tx: tx.old_dead_letters(long_ago, soon, 9)) == [("a", 2)]
    assert await store.write(lambda tx: tx.remove_dead_letters(["a", "b"], long_ago, soon)) == 1


def test_what_an_older_release_inserts_is_measured_later(connection: Connection) -> None:
    row = {"id": "a", "source": "am", "reason": "bad", "field": "", "body": b"12345"}
    times = {"first_at_us": 1, "last_at_us": 1, "seen": 1}
    connection.execute(insert(dead_letters).values(**row, **times))
    assert find_dead_letters(connection, "a")[0].left_out == 0
    assert list(dead_letter_usage(connection).values()) == [1, 0, 0]
    measure_dead_letters(connection)
    assert list(dead_letter_usage(connection).values()) == [1, 5, 0]
