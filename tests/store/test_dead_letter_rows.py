"""Dead letters on each database."""

from dataclasses import replace
from datetime import timedelta

import pytest

from engine.ports.rows import DeadLetter
from engine.ports.store import Store, Tx
from engine.store.dead_letter_rows import LISTED_BYTES
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
