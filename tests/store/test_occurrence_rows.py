"""Occurrences on each database."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection

from engine.core.alert import Occurrence
from engine.ports.store import Store, Tx
from engine.store.occurrence_rows import OccurrenceRows, firing_occurrences
from tests.services.stores import START
from tests.store.values import an_occurrence

DEADLINE_S = 30.0


async def test_only_the_latest_occurrence_of_a_fingerprint_is_kept(store: Store) -> None:
    first, other = an_occurrence("f1"), an_occurrence("f2", service="größe\0")
    later = replace(first, id="later", repeats=3, ended_at=START, ended_by="source")
    await store.write(lambda tx: tx.put_occurrences([first, other]))
    await store.write(lambda tx: tx.put_occurrences([later]))
    await store.write(lambda tx: tx.put_occurrences([]))
    found = await store.read(lambda tx: tx.occurrences(["f1", "f2", "unknown"]))
    assert found == {"f1": later, "f2": other}
    assert await store.read(lambda tx: tx.occurrences([])) == {}


async def test_thousands_of_occurrences_are_found_at_once(store: Store) -> None:
    many = {f"f{n}": an_occurrence(f"f{n}") for n in range(3000)}
    await store.write(lambda tx: tx.put_occurrences(list(many.values())))
    assert await store.read(lambda tx: tx.occurrences(list(many))) == many


async def test_open_occurrences_are_those_that_fire_in_the_incident(store: Store) -> None:
    def at(minute: int, fingerprint: str, *incidents: str) -> Occurrence:
        started = START + timedelta(minutes=minute)
        return an_occurrence(fingerprint, started_at=started, incident_ids=incidents)

    both, late, early, none = at(2, "f1", "a", "b"), at(3, "f2", "a"), at(1, "f3", "a"), at(0, "f4")
    ended = replace(at(0, "f5", "a"), ended_at=START, ended_by="expiry")
    await store.write(lambda tx: tx.put_occurrences([both, late, early, none, ended]))
    of_a, of_b, of_c = await store.read(lambda tx: [tx.open_occurrences(i, 10) for i in "abc"])
    assert (of_a, of_b, of_c) == ([early, both, late], [both], [])
    closed = replace(both, ended_at=START, ended_by="source")
    await store.write(lambda tx: tx.put_occurrences([closed]))
    of_a, of_b = await store.read(lambda tx: [tx.open_occurrences(i, 10) for i in "ab"])
    assert (of_a, of_b) == ([early, late], [])


async def test_what_ended_long_ago_is_found_page_by_page_and_forgotten(store: Store) -> None:
    def ended(name: str, minutes: int) -> Occurrence:
        at = START + timedelta(minutes=minutes)
        return replace(an_occurrence(name), ended_at=at, ended_by="source")

    fires = an_occurrence("b", incident_ids=("i",))
    await store.write(
        lambda tx: tx.put_occurrences([ended("a", 1), fires, ended("c", 9), ended("d", 2)])
    )
    before = START + timedelta(minutes=5)

    def all_pages(tx: Tx) -> list[tuple[Sequence[str], str]]:
        return [tx.ended_occurrences(before, after=after, limit=2) for after in ("", "b", "d")]

    pages = await store.read(all_pages)
    assert [(list(found), last) for found, last in pages] == [(["a"], "b"), (["d"], "d"), ([], "")]
    again = an_occurrence("d", incident_ids=("i",))
    await store.write(lambda tx: tx.put_occurrences([again]))  # it fires again meanwhile
    names = ["a", "b", "c", "d"]
    assert await store.write(lambda tx: tx.remove_occurrences(names, before)) == 1
    assert set(await store.read(lambda tx: tx.occurrences(names))) == {"b", "c", "d"}
    assert len(await store.read(lambda tx: tx.open_occurrences("i", 9))) == 2


async def test_links_follow_what_an_occurrence_became_within_one_transaction(
    store: Store,
) -> None:
    """Read first, as the pipeline does, and then each way an occurrence can go."""

    def firing(tx: Tx) -> list[list[str]]:
        return [[o.alert.fingerprint for o in tx.open_occurrences(i, 10)] for i in "abc"]

    def ways(tx: Tx) -> list[list[list[str]]]:
        (known,) = tx.occurrences(["f"]).values()
        seen = []
        for became in (
            replace(known, repeats=1),
            replace(known, incident_ids=("b", "c")),
            replace(known, incident_ids=("b", "c"), repeats=2),
            replace(known, incident_ids=("c",), ended_at=START, ended_by="source"),
            replace(known, incident_ids=("a", "c")),
        ):
            tx.put_occurrences([became])
            seen.append(firing(tx))
        return seen

    await store.write(lambda tx: tx.put_occurrences([an_occurrence("f", incident_ids=("a",))]))
    assert await store.write(ways) == [
        [["f"], [], []],
        [[], ["f"], ["f"]],
        [[], ["f"], ["f"]],
        [[], [], []],
        [["f"], [], ["f"]],
    ]
    assert await store.read(firing) == [["f"], [], ["f"]]


def test_a_repeat_links_again_what_another_writer_has_unlinked(connection: Connection) -> None:
    fires = an_occurrence("f", incident_ids=("a",))
    reader, other = OccurrenceRows(connection), OccurrenceRows(connection)
    reader.put([fires])
    other.put([replace(fires, ended_at=START, ended_by="source")])
    assert firing_occurrences(connection, "a", 10) == []
    again = replace(fires, repeats=1)
    reader.put([again])
    assert firing_occurrences(connection, "a", 10) == [again]
