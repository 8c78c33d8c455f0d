"""Incidents on each database."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from engine.core.alert import MAX_LABEL_BYTES
from engine.core.ids import sha256_hex
from engine.core.incident import Incident
from engine.core.severity import Severity
from engine.errors import ConflictError
from engine.ports.rows import IncidentFilter
from engine.ports.store import Store, Tx
from engine.store.incident_rows import IncidentRows
from engine.store.occurrence_rows import OccurrenceRows
from engine.store.tables import incidents
from tests.services.stores import START
from tests.store.values import an_incident, an_occurrence

DEADLINE_S = 30.0


async def test_an_incident_comes_back_as_it_was_put(store: Store) -> None:
    first = an_incident(group={"service": "a", "größe\0": "x"}, acknowledged_at=START)
    await store.write(lambda tx: tx.put_incident(first))
    assert await store.read(lambda tx: tx.incident(first.id)) == first
    changed = replace(first, severity=Severity.P1, open_count=2, ticket="T-1")
    await store.write(lambda tx: tx.put_incident(changed))
    assert await store.read(lambda tx: tx.incident(first.id)) == changed
    assert await store.read(lambda tx: tx.incident("absent")) is None


def document(connection: Connection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        connection.execute(select(incidents.c.document)).scalar_one()
    )
    return found


def test_the_count_of_what_a_release_wrote_that_kept_ids_is_that_of_the_rows(
    connection: Connection,
) -> None:
    rows = IncidentRows(connection, lock=False)
    rows.put(an_incident("a", open_count=7))
    rows.flush()
    fires = [an_occurrence(f"f{n}", incident_ids=("a",)) for n in range(3)]
    OccurrenceRows(connection).put(fires)
    known = document(connection)
    del known["open_count"]
    connection.execute(update(incidents).values(document=json.dumps(known)))
    again = IncidentRows(connection, lock=False)
    (listed,) = again.matching(IncidentFilter())
    live = again.live(listed.correlation_key)
    assert live is not None
    assert (listed.open_count, live.open_count) == (3, 3)
    assert again.by_id("a") == listed


@pytest.mark.parametrize(("count", "has_one"), [(3, True), (0, False)])
def test_a_release_that_keeps_ids_finds_one_while_something_fires(
    connection: Connection, count: int, has_one: bool
) -> None:
    rows = IncidentRows(connection, lock=False)
    rows.put(an_incident("a", open_count=count))
    rows.flush()
    assert bool(document(connection)["open_occurrences"]) is has_one


async def test_the_longest_service_that_an_alert_may_name_fits_into_the_index(
    store: Store,
) -> None:
    """PostgreSQL refuses a row whose text takes more than a third of an index's page."""
    service = "".join(sha256_hex(str(n).encode()) for n in range(MAX_LABEL_BYTES // 64))
    assert len(service) == MAX_LABEL_BYTES
    await store.write(lambda tx: tx.put_incident(an_incident(service=service)))
    (found,) = await store.read(lambda tx: tx.incidents(IncidentFilter(service=service)))
    assert found.service == service


async def test_one_incident_of_a_key_is_live(store: Store) -> None:
    first = an_incident("a", number=1, correlation_key="k")
    assert await store.write(lambda tx: tx.live_incident("k")) is None
    await store.write(lambda tx: tx.put_incident(first))
    assert await store.write(lambda tx: tx.live_incident("k")) == first
    second = an_incident("b", number=2, correlation_key="k")
    with pytest.raises(ConflictError, match="correlation key"):
        await store.write(lambda tx: tx.put_incident(second))
    resolved = replace(first, status="resolved")
    await store.write(lambda tx: tx.put_incident(resolved))
    assert await store.write(lambda tx: tx.live_incident("k")) == resolved
    assert await store.read(lambda tx: tx.live_incident("k")) == resolved

    def close_and_open(tx: Tx) -> tuple[Incident | None, ...]:
        tx.put_incident(replace(first, status="closed"))
        between = tx.live_incident("k")
        tx.put_incident(second)
        return between, tx.live_incident("k"), tx.incident("a")

    between, after, closed = await store.write(close_and_open)
    assert (between, after) == (None, second)
    assert closed is not None
    assert closed.status == "closed"
    assert await store.write(lambda tx: tx.live_incident("k")) == second


async def test_of_many_that_open_an_incident_for_one_key_one_succeeds(store: Store) -> None:
    async def start(name: str) -> bool:
        def work(tx: Tx) -> bool:
            if tx.live_incident("k") is not None:
                return False
            number = tx.next_incident_number()
            tx.put_incident(an_incident(name, number=number, correlation_key="k"))
            return True

        try:
            return await store.write(work)
        except ConflictError:
            return False

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        tries = [group.create_task(start(f"i{n}")) for n in range(12)]
    assert sum(each.result() for each in tries) == 1
    assert len(await store.read(lambda tx: tx.incidents(IncidentFilter()))) == 1


async def test_changes_of_one_live_incident_are_not_lost(store: Store) -> None:
    await store.write(lambda tx: tx.put_incident(an_incident("a", correlation_key="k")))

    def one_more(tx: Tx) -> None:
        incident = tx.live_incident("k")
        assert incident is not None
        tx.put_incident(replace(incident, occurrences=incident.occurrences + 1))

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        for _ in range(30):
            group.create_task(store.write(one_more))
    found = await store.read(lambda tx: tx.incident("a"))
    assert found is not None
    assert found.occurrences == 30


async def test_incident_numbers_count_up(store: Store) -> None:
    assert [await store.write(lambda tx: tx.next_incident_number()) for _ in range(3)] == [1, 2, 3]


FOUND: list[tuple[IncidentFilter, list[int]]] = [
    (IncidentFilter(), [5, 4, 3, 2, 1]),
    (IncidentFilter(limit=2), [5, 4]),
    (IncidentFilter(before_number=3), [2, 1]),
    (IncidentFilter(status="closed"), [3]),
    (IncidentFilter(severity="P1"), [4, 2]),
    (IncidentFilter(service="llm"), [5, 2]),
    (IncidentFilter(service="llm", severity="P1", status="open"), [2]),
    (IncidentFilter(service="\0"), [1]),
    (IncidentFilter(status="unheard-of"), []),
]


@pytest.mark.parametrize(("which", "numbers"), FOUND, ids=lambda value: str(value)[:60])
async def test_incidents_are_filtered_and_paged(
    store: Store, which: IncidentFilter, numbers: list[int]
) -> None:
    def work(tx: Tx) -> list[int]:
        for number in range(1, 6):
            tx.put_incident(
                an_incident(
                    f"i{number}",
                    number=number,
                    severity=Severity.P1 if number in (2, 4) else Severity.P3,
                    status="closed" if number == 3 else "open",
                    service={2: "llm", 5: "llm", 1: "\0"}.get(number, "gw"),
                )
            )
        return [each.number for each in tx.incidents(which)]

    assert await store.write(work) == numbers


PREFIXES = [
    ("INC-12", ["abcd"]),
    ("inc-12", ["abcd"]),
    ("12", ["abcd"]),
    ("abc", ["abcd", "abce"]),
    ("ABCE", ["abce"]),
    ("abcd", ["abcd"]),
    ("2", ["2abc"]),
    ("a", ["abcd", "abce"]),
    ("INC-2", []),
    ("b", []),
    ("", []),
    ("%", []),
    ("INC-99999999999999999999", []),
    ("9223372036854775808", []),
]


@pytest.mark.parametrize(("prefix", "ids"), PREFIXES)
async def test_an_incident_is_found_by_its_name_or_the_beginning_of_its_id(
    store: Store, prefix: str, ids: list[str]
) -> None:
    def work(tx: Tx) -> list[str]:
        for number, name in [(12, "abcd"), (13, "abce"), (14, "abcf"), (15, "2abc")]:
            tx.put_incident(an_incident(name, number=number))
        return [each.id for each in tx.find_incidents(prefix)]

    assert await store.write(work) == ids
