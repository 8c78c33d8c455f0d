"""Occurrences on each database."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from msgspec import structs
from sqlalchemy import Connection, text

from engine.core.alert import Firing, Occurrence
from engine.core.incident import Incident
from engine.core.severity import Severity
from engine.ports.store import Store, Tx
from engine.store.occurrence_rows import (
    OCCURRENCES,
    OccurrenceRows,
    firing_occurrences,
    remove_occurrences,
)
from engine.store.tables import notices
from tests.services.stores import START
from tests.store.values import an_incident, an_occurrence

DEADLINE_S = 30.0


async def test_only_the_latest_occurrence_of_a_fingerprint_is_kept(store: Store) -> None:
    first, other = an_occurrence("f1"), an_occurrence("f2", service="größe\0")
    later = structs.replace(first, id="later", repeats=3, ended_at=START, ended_by="source")
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
    ended = structs.replace(at(0, "f5", "a"), ended_at=START, ended_by="expiry")
    await store.write(lambda tx: tx.put_occurrences([both, late, early, none, ended]))
    of_a, of_b, of_c = await store.read(lambda tx: [tx.open_occurrences(i, 10) for i in "abc"])
    assert (of_a, of_b, of_c) == ([early, both, late], [both], [])
    closed = structs.replace(both, ended_at=START, ended_by="source")
    await store.write(lambda tx: tx.put_occurrences([closed]))
    of_a, of_b = await store.read(lambda tx: [tx.open_occurrences(i, 10) for i in "ab"])
    assert (of_a, of_b) == ([early, late], [])


async def test_a_target_fires_while_an_alert_of_it_does_in_an_open_incident(store: Store) -> None:
    def of(incident: Incident, fingerprint: str, target: str) -> Occurrence:
        found = an_occurrence(fingerprint, incident_ids=(incident.id,))
        return structs.replace(found, alert=structs.replace(found.alert, target=target))

    first, second, cleared = (an_incident(name, number=n) for n, name in enumerate("abc", 1))
    cleared = replace(cleared, status="resolved")
    fire = [of(first, "f1", "gpu-07"), of(first, "f2", "gpu-07"), of(second, "f3", "gpu-08")]
    quiet = [of(second, "f4", ""), of(cleared, "f5", "gpu-09")]

    def work(tx: Tx) -> None:
        for incident in (first, second, cleared):
            tx.put_incident(incident)
        tx.put_occurrences([*fire, *quiet])

    await store.write(work)
    assert await store.read(lambda tx: tx.firing_targets(9)) == [("gpu-08", 2), ("gpu-07", 1)]
    assert await store.read(lambda tx: tx.firing_targets(1)) == [("gpu-08", 2)]
    ended = [structs.replace(each, ended_at=START, ended_by="source") for each in fire]
    await store.write(lambda tx: tx.put_occurrences(ended))
    assert await store.read(lambda tx: tx.firing_targets(9)) == []


async def test_what_is_troubled_fires_in_an_open_incident_or_has_a_grave_one(store: Store) -> None:
    fires, grave, slight, over = (an_incident(n, number=i) for i, n in enumerate("abcd", 1))
    found = [
        replace(fires, service="web", severity=Severity.P4),
        replace(grave, service="llm", severity=Severity.P2),
        replace(slight, service="batch", severity=Severity.P3),
        replace(over, service="old", severity=Severity.P1, status="resolved"),
    ]
    firing = an_occurrence("f", incident_ids=(fires.id,))
    firing = structs.replace(firing, alert=structs.replace(firing.alert, target="gpu-07"))

    def work(tx: Tx) -> None:
        for incident in found:
            tx.put_incident(incident)
        tx.put_occurrences([firing])

    await store.write(work)
    names = ["gpu-07", "gpu-08", "web", "llm", "batch", "old"]
    troubled = await store.read(lambda tx: tx.troubled(names))
    assert sorted(troubled) == [("gpu-07", 1), ("llm", 2), ("web", 1)]


async def test_what_ended_long_ago_is_found_page_by_page_and_forgotten(store: Store) -> None:
    def ended(name: str, minutes: int) -> Occurrence:
        at = START + timedelta(minutes=minutes)
        return structs.replace(an_occurrence(name), ended_at=at, ended_by="source")

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
            structs.replace(known, repeats=1),
            structs.replace(known, incident_ids=("b", "c")),
            structs.replace(known, incident_ids=("b", "c"), repeats=2),
            structs.replace(known, incident_ids=("c",), ended_at=START, ended_by="source"),
            structs.replace(known, incident_ids=("a", "c")),
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
    other.put([structs.replace(fires, ended_at=START, ended_by="source")])
    assert firing_occurrences(connection, "a", 10) == []
    again = structs.replace(fires, repeats=1)
    reader.put([again])
    assert firing_occurrences(connection, "a", 10) == [again]


def repeated(firing: Firing, times: int) -> Firing:
    at = START + timedelta(minutes=times)
    return structs.replace(
        firing, last_notice_at=at, expires_at=at + timedelta(hours=1), repeats=times
    )


def repeat_in(tx: Tx, fingerprint: str, times: int) -> None:
    _, firing = tx.known([fingerprint], frozenset())
    tx.put_repeats([repeated(firing[fingerprint], times)])


async def test_what_repeats_made_of_an_occurrence_is_read_with_it(store: Store) -> None:
    fires = structs.replace(an_occurrence("f", incident_ids=("i",)), expires_at=START)
    await store.write(lambda tx: tx.put_occurrences([fires, an_occurrence("other")]))
    for times in (1, 2):
        await store.write(lambda tx, times=times: repeat_in(tx, "f", times))  # type: ignore[misc]
    occurrences, firing = await store.read(lambda tx: tx.known(["f", "other", "no"], {"other"}))
    assert list(occurrences) == ["other"]
    assert firing["f"].kept_expiry == START
    now = structs.replace(
        fires,
        last_notice_at=START + timedelta(minutes=2),
        expires_at=START + timedelta(minutes=62),
        repeats=2,
    )
    assert firing["f"].of(fires) == now
    assert (await store.read(lambda tx: tx.occurrences(["f"])))["f"] == now
    assert await store.read(lambda tx: tx.open_occurrences("i", 9)) == [now]


async def test_what_ended_and_what_a_rule_hears_are_known_as_a_whole(store: Store) -> None:
    ended = structs.replace(an_occurrence("f1"), ended_at=START, ended_by="source")
    heard = structs.replace(an_occurrence("f2"), heard_by=("often",))
    await store.write(lambda tx: tx.put_occurrences([ended, heard]))
    assert await store.read(lambda tx: tx.known(["f1", "f2"], frozenset())) == (
        {"f1": ended, "f2": heard},
        {},
    )


def test_a_document_of_an_older_release_counts_more_than_repeats_from_before(
    connection: Connection,
) -> None:
    """It writes documents alone, and knows of no repeats that another replica took meanwhile."""
    rows, fires = OccurrenceRows(connection), an_occurrence("f", incident_ids=("i",))
    rows.put([fires])
    _, firing = rows.known(["f"], frozenset())
    rows.put_repeats([repeated(firing["f"], 7)])
    written = structs.replace(fires, repeats=3)
    connection.execute(
        text("UPDATE occurrences SET document = :d"), {"d": OCCURRENCES.encode(written)}
    )
    assert OccurrenceRows(connection).latest(["f"]) == {"f": written}
    _, firing = OccurrenceRows(connection).known(["f"], frozenset())
    assert firing["f"].repeats == 3


def test_what_is_forgotten_leaves_nothing_behind(connection: Connection) -> None:
    rows, fires = OccurrenceRows(connection), an_occurrence("f")
    rows.put([fires])
    _, firing = rows.known(["f"], frozenset())
    rows.put_repeats([repeated(firing["f"], 1)])
    rows.put([structs.replace(fires, ended_at=START, ended_by="source")])
    assert remove_occurrences(connection, ["f"], START + timedelta(days=1)) == 1
    assert connection.execute(notices.select()).all() == []
