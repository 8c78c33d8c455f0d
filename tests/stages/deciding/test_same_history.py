"""The same records, ticks included, come to the same however they are cut and repeated."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, StaticPool, create_engine, text

from engine.core.alert import Alert, AlertStatus, fingerprint_of
from engine.core.catalog import Catalog
from engine.core.records import encode_alert, encode_tick, timer_tick
from engine.errors import FencedError
from engine.ports.rows import IncidentFilter
from engine.ports.stream import Batch, Record
from engine.stages.deciding import decide
from engine.store.migration import migrate
from engine.store.tx import SqlTx
from tests.doubles.written import a_catalog, load_written

T = TypeVar("T")

START = datetime.fromisoformat("2026-03-28T22:00:00+00:00")
RULES = """language: 1
rules:
  - {id: root, description: R, matchers: ['alertname="Root"'], severity: P1, absorbs: dependants}
  - id: for
    description: F
    matchers: ['alertname="For"']
    severity: P3
    for: 2m
    absorbed_by: dependencies
    escalate: [{firing: 2, is: P2}, {after: 10m, is: P1}]
  - id: window
    description: W
    matchers: ['alertname="Window"']
    severity: P2
    window: {at_least: 2, distinct: instance, within: 5m}
    inhibited_by: {matchers: ['alertname="Root"'], equal: [zone]}
  - id: alerts
    description: A
    matchers: ['alertname="Often"']
    severity: P2
    window: {at_least: 3, of: alerts, within: 10m}
    flapping: {at_least: 2, within: 30m, stable_for: 10m}
  - id: both
    description: B
    all_of: {within: 5m, alerts: [['alertname="One"'], ['alertname="Two"']]}
    severity: P2
    continue: true
  - id: silent
    description: S
    matchers: ['alertname="Beat"']
    severity: P2
    absent: {for: 7m}
  - {id: rest, description: Rest, severity: P3, mode: suggest}
"""
INVENTORY = """language: 1
services:
  gw: {}
  a: {depends_on: [gw]}
  b: {depends_on: [a]}
"""
NAMES = ("Root", "For", "Window", "Often", "One", "Two", "Beat", "Other")


@dataclass(frozen=True)
class Notice:
    """What a sender says, so many seconds after what was said before."""

    after_s: int
    name: str
    service: str
    instance: str
    status: AlertStatus
    zone: str


notices = st.lists(
    st.builds(
        Notice,
        st.sampled_from((0, 1, 30, 60, 119, 120, 121, 240, 300, 420, 700)),
        st.sampled_from(NAMES),
        st.sampled_from(("gw", "a", "b")),
        st.sampled_from("xyz"),
        st.sampled_from(("firing", "firing", "firing", "resolved")),
        st.sampled_from(("1", "2")),
    ),
    min_size=1,
    max_size=40,
)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    folder = tmp_path_factory.mktemp("catalog")
    a_catalog(folder, RULES)
    (folder / "inventory.yaml").write_text(INVENTORY)
    return load_written(folder)


@dataclass
class Deciding:
    """A database of its own, and the records that it was given, in one partition."""

    connection: Connection
    catalog: Catalog
    at: datetime = START
    dispositions: Counter[str] = field(default_factory=Counter)

    def give(self, records: Sequence[Record]) -> None:
        """Decide on one batch; one that was decided already changes nothing."""
        batch = Batch(0, records)
        decided = self.commit(lambda tx: decide(tx, "log", batch, records[0].offset, self.catalog))
        self.dispositions += Counter(decided.dispositions)

    def commit(self, work: Callable[[SqlTx], T]) -> T:
        """In one transaction."""
        tx = SqlTx(self.connection, lambda: self.at)
        self.connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            done = work(tx)
            tx.flush()
        except BaseException:
            self.connection.exec_driver_sql("ROLLBACK")
            raise
        self.connection.exec_driver_sql("COMMIT")
        return done

    def due(self, until: datetime) -> tuple[str, datetime, str] | None:
        """The next timer (key, time, partition key) that comes due by then, taken away."""
        row = self.connection.execute(
            text(
                "SELECT id, not_before_us, payload FROM tasks WHERE kind = 'tick' "
                "ORDER BY not_before_us, id LIMIT 1"
            )
        ).first()
        if row is None:
            return None
        tx = SqlTx(self.connection, lambda: until)
        due = datetime.fromtimestamp(0, tz=START.tzinfo) + timedelta(microseconds=row[1])
        if due > until:
            return None
        self.connection.exec_driver_sql("BEGIN IMMEDIATE")
        key = row[0].removeprefix("tick/")
        tx.cancel_task("tick", key)
        tx.flush()
        self.connection.exec_driver_sql("COMMIT")
        return key, due, row[2].split('"partition_key":')[1].strip(' "}')

    def outcome(self) -> object:
        """All that was decided: incidents, what waits, what is counted, and each disposition."""
        tx = SqlTx(self.connection, lambda: self.at, reading=True)
        incidents = [
            (
                *(each.id, each.number, each.rule_id, each.status, each.severity, each.open_count),
                *(each.occurrences, each.absorbed_by, each.flaps, each.previous_id),
            )
            for each in tx.incidents(IncidentFilter(limit=1000))
        ]
        groups = self.connection.execute(text("SELECT id, document FROM groups ORDER BY id")).all()
        return incidents, tx.conditions.held(1000), groups, dict(self.dispositions)


@contextmanager
def deciding(catalog: Catalog) -> Iterator[Deciding]:
    def copied() -> sqlite3.Connection:
        copy = sqlite3.connect(":memory:")
        empty_database().backup(copy)
        return copy

    engine = create_engine("sqlite://", creator=copied, isolation_level="AUTOCOMMIT")
    with closing(engine.connect()) as connection:
        yield Deciding(connection, catalog)
    engine.dispose()


@cache
def empty_database() -> sqlite3.Connection:
    """Made once: its tables take longer than most histories."""
    made = sqlite3.connect(":memory:", check_same_thread=False)
    engine = create_engine("sqlite://", creator=lambda: made, poolclass=StaticPool)
    with engine.begin() as connection:
        migrate(connection)
    return made


def alert_of(notice: Notice, at: datetime) -> Alert:
    labels = {"alertname": notice.name, "service": notice.service, "zone": notice.zone}
    labels["instance"] = notice.instance
    return Alert(
        fingerprint=fingerprint_of("alertmanager", labels),
        source="alertmanager",
        name=notice.name,
        status=notice.status,
        labels=labels,
        annotations={},
        starts_at=at,
        ends_at=at if notice.status == "resolved" else None,
        received_at=at,
        service=notice.service,
    )


def history_of(said: Sequence[Notice], first: Deciding) -> Sequence[tuple[datetime, Record]]:
    """The records of a live run: alerts as they come, and each timer's tick when it is due."""
    told: list[tuple[datetime, Record]] = []

    def take(at: datetime, key: str, value: bytes) -> None:
        first.at = max(first.at, at)
        told.append((first.at, Record(0, len(told), key, value)))
        first.give([told[-1][1]])

    def ticks(until: datetime) -> None:
        while (due := first.due(until)) is not None:
            key, at, partition_key = due
            take(at, partition_key, encode_tick(timer_tick(key, at), at))

    at = START
    for notice in said:
        at += timedelta(seconds=notice.after_s)
        ticks(at)
        alert = alert_of(notice, at)
        take(at, alert.partition_key, encode_alert(alert))
    # Not for ever: an absence is asked again and again.
    ticks(at + timedelta(minutes=45))
    return told


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    said=notices, cuts=st.lists(st.integers(1, 12), min_size=1), again=st.sets(st.integers(0, 30))
)
def test_any_cut_of_a_history_and_any_redelivery_come_to_the_same(
    catalog: Catalog, said: Sequence[Notice], cuts: Sequence[int], again: frozenset[int]
) -> None:
    with deciding(catalog) as live, deciding(catalog) as later:
        history = history_of(said, live)
        place = number = 0
        while place < len(history):
            part = history[place : place + cuts[number % len(cuts)]]
            later.at = part[-1][0]
            later.give([record for _, record in part])
            if number in again:
                # The broker sends it again: nothing of it is decided a second time.
                with pytest.raises(FencedError):
                    later.give([record for _, record in part])
            place, number = place + len(part), number + 1
        assert later.outcome() == live.outcome()


def test_histories_reach_every_condition(catalog: Catalog) -> None:
    said = [
        Notice(0, "Beat", "gw", "x", "firing", "1"),
        Notice(1, "For", "a", "x", "firing", "1"),
        Notice(1, "Window", "b", "x", "firing", "1"),
        Notice(1, "Window", "b", "y", "firing", "1"),
        Notice(1, "One", "a", "x", "firing", "1"),
        Notice(1, "Two", "a", "x", "firing", "1"),
        *(Notice(60, "Often", "a", "x", "firing", "1") for _ in range(3)),
        Notice(300, "Root", "gw", "x", "firing", "1"),
        Notice(1, "Window", "a", "x", "firing", "1"),
    ]
    with deciding(catalog) as live:
        history_of(said, live)
        tx = SqlTx(live.connection, lambda: live.at, reading=True)
        rules: Mapping[str, int] = Counter(
            each.rule_id for each in tx.incidents(IncidentFilter(limit=100))
        )
        assert set(rules) == {"root", "for", "window", "alerts", "both", "silent"}
        assert {hold.kind for _, hold in tx.conditions.held(100)} >= {
            "absent",
            "absorbed",
            "inhibited",
        }
