"""How many occurrences of an incident fire: a count, which is that of a set at any time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine

from engine.core import events
from engine.core.alert import Alert, fingerprint_of
from engine.core.catalog import Catalog
from engine.core.incident import chain_of
from engine.core.records import Tick, encode_alert, encode_tick
from engine.ports.rows import IncidentFilter
from engine.ports.stream import Batch, Record
from engine.stages.deciding import decide
from engine.store.migration import migrate
from engine.store.tx import SqlTx
from tests.doubles.virtual_time import VirtualClock
from tests.doubles.written import RESTART, RULES, a_catalog

# Host and GPU of three fingerprints. One rule tells the hosts apart; another observes them all.
PLACES = (("gpu-07:9100", "0"), ("gpu-07:9100", "1"), ("gpu-08:9100", "0"))


@dataclass(frozen=True)
class Notice:
    """A firing or resolved notice `later` seconds after the one before, begun `ago`."""

    later: int
    place: tuple[str, str]
    fires: bool
    ago: int
    expires: bool


@dataclass(frozen=True)
class Timer:
    """A tick of every fingerprint and incident that there is, as if each were due now."""

    later: int


NOTICES = st.builds(
    Notice,
    later=st.sampled_from([0, 0, 0, 60]),
    place=st.sampled_from(PLACES),
    fires=st.booleans(),
    ago=st.sampled_from([0, 0, 600]),
    expires=st.booleans(),
)
TIMERS = st.builds(Timer, later=st.sampled_from([0, 60, 1800]))
# Batches of one to many, so that what ends may have begun in the same one.
HISTORIES = st.lists(st.lists(NOTICES | NOTICES | TIMERS, max_size=10), max_size=5)


class Decider:
    """Decides in one transaction that is never committed; printed in a word when a test fails."""

    def __init__(self, connection: Connection, catalog: Catalog) -> None:
        self.connection = connection
        self.catalog = catalog

    def decide(self, batch: Batch, now: datetime) -> SqlTx:
        tx = SqlTx(self.connection, lambda: now)
        decide(tx, "s", batch, batch.records[0].offset, self.catalog)
        tx.flush()
        return SqlTx(self.connection, lambda: now, reading=True)

    def column(self, statement: str) -> list[str]:
        return list(self.connection.exec_driver_sql(statement).scalars())


@pytest.fixture(scope="module")
def decider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Decider]:
    folder = tmp_path_factory.mktemp("catalog")
    catalog = a_catalog(folder, RULES.replace("%s", "approve"), RESTART).active
    engine = create_engine("sqlite://", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        migrate(connection)
        yield Decider(connection, catalog)
    engine.dispose()


FIRES, ENDS = (Notice(0, PLACES[0], fires, 0, expires=False) for fires in (True, False))


@given(history=HISTORIES)
@example(history=[[FIRES, ENDS, FIRES], [ENDS], [FIRES]])
@settings(max_examples=100, deadline=None)
def test_the_count_is_that_of_the_set_of_what_fires(
    decider: Decider, history: list[list[Notice | Timer]]
) -> None:
    clock, position = VirtualClock(), 0
    decider.connection.exec_driver_sql("BEGIN")
    try:
        for steps in history:
            values: list[bytes] = []
            for step in steps:
                clock.advance(step.later)
                values += records_of(decider, step, clock.at)
            if values:
                records = [Record(0, position + n, "k", value) for n, value in enumerate(values)]
                position += len(records)
                check(decider.decide(Batch(0, records), clock.at))
    finally:
        decider.connection.exec_driver_sql("ROLLBACK")


def records_of(decider: Decider, step: Notice | Timer, now: datetime) -> list[bytes]:
    if isinstance(step, Notice):
        return [encode_alert(alert_of(step, now))]
    fingerprints = decider.column("SELECT fingerprint FROM occurrences")
    ticks = [Tick("occurrence_expiry", each, now) for each in fingerprints]
    incidents = decider.column("SELECT id FROM incidents")
    ticks += [Tick("incident_close", each, now) for each in incidents]
    return [encode_tick(each, now) for each in ticks]


def alert_of(notice: Notice, now: datetime) -> Alert:
    host, gpu = notice.place
    labels = {"alertname": "Down", "instance": host, "gpu": gpu}
    return Alert(
        fingerprint=fingerprint_of("am", labels),
        source="am",
        name="Down",
        status="firing" if notice.fires else "resolved",
        labels=labels,
        annotations={},
        starts_at=now - timedelta(seconds=notice.ago),
        ends_at=None if notice.fires else now,
        received_at=now,
        expires_at=now + timedelta(seconds=30) if notice.expires else None,
    )


def check(tx: SqlTx) -> None:
    for incident in tx.incidents(IncidentFilter(limit=1000)):
        fires: set[str] = set()
        joined = 0
        for entry in tx.entries(chain_of(incident.id)):
            event = entry.event()
            if isinstance(event, events.OccurrenceJoined):
                assert fires.isdisjoint(event.occurrence_ids), "joined, and had already"
                assert len(set(event.occurrence_ids)) == len(event.occurrence_ids)
                fires.update(event.occurrence_ids)
                joined += len(event.occurrence_ids)
            if isinstance(event, events.OccurrenceEnded):
                assert fires.issuperset(event.occurrence_ids), "ended, and didn't fire"
                assert len(set(event.occurrence_ids)) == len(event.occurrence_ids)
                fires.difference_update(event.occurrence_ids)
        in_rows = {each.id for each in tx.open_occurrences(incident.id, 1000)}
        assert in_rows == fires
        assert (incident.open_count, incident.occurrences) == (len(fires), joined)
        assert (incident.status == "open") == bool(fires)
