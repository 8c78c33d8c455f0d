"""Looking ahead changes when a P1 is decided on, and nothing of what the records come to."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from structlog.testing import capture_logs

from engine.core.catalog import Catalog
from engine.core.records import encode_alert, encode_tick, timer_tick
from engine.errors import ConflictError, FencedError, TransientError
from engine.ports.rows import IncidentFilter
from engine.ports.stream import Batch, Record
from engine.stages.deciding import LookAhead, ahead, looking
from engine.stages.deciding.batch import Decided
from engine.store.tx import SqlTx
from tests.doubles.written import a_catalog, load_written
from tests.stages.deciding.test_same_history import (
    INVENTORY,
    NAMES,
    RULES,
    START,
    Deciding,
    Notice,
    alert_of,
    deciding,
)

# What goes ahead, alone or beside others in an incident, and what must not although it is a P1.
URGENT = """language: 1
rules:
  - {id: urgent, description: U, matchers: ['alertname="Urgent"'], severity: P1}
  - id: mixed
    description: M
    matchers: ['alertname="Mixed"']
    severity: [{when: 'alert.labels.zone == "1"', is: P1}, {is: P3}]
    group_by: [service]
  - {id: loud, description: L, matchers: ['alertname="Loud"'], severity: P1}
  - id: counted
    description: C
    matchers: ['alertname="Counted"']
    severity: P1
    window: {at_least: 2, distinct: instance, within: 2m}
  - id: quiet
    description: Q
    matchers: ['alertname="Quiet"']
    severity: P2
    inhibited_by: {matchers: ['alertname="Loud"'], equal: [zone]}
"""
AHEAD = ("Urgent", "Mixed", "Loud", "Quiet", "Counted")
"""Of these names half of the notices are."""


@dataclass(frozen=True)
class Turn:
    """Somebody says something, and then so many alerts are decided on; a look may follow."""

    notice: Notice
    decides: int
    looks: bool


turns = st.lists(
    st.builds(
        Turn,
        st.builds(
            Notice,
            st.sampled_from((0, 1, 30, 60, 300, 700, 1900)),
            st.sampled_from((*NAMES, *AHEAD, *AHEAD)),
            st.sampled_from(("gw", "a")),
            st.sampled_from("xy"),
            st.sampled_from(("firing", "firing", "resolved")),
            st.sampled_from(("1", "2")),
        ),
        st.sampled_from((0, 0, 0, 1, 2, 5)),
        st.booleans(),
    ),
    min_size=1,
    max_size=40,
)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    folder = tmp_path_factory.mktemp("catalog")
    a_catalog(folder, URGENT + RULES.partition("rules:\n")[2])
    (folder / "inventory.yaml").write_text(INVENTORY)
    return load_written(folder)


@dataclass
class Active:
    active: Catalog


@dataclass
class Partition:
    """One partition with its own log; as the store and the subscription of a look, too."""

    deciding: Deciding
    records: list[Record] = field(default_factory=list)
    position: int = 0
    far_behind: int = 1
    taken: list[Decided] = field(default_factory=list)
    looked_at: list[int] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)

    assigned = frozenset({0})

    def __post_init__(self) -> None:
        catalogs = Active(self.deciding.catalog)
        self.look = LookAhead(self, catalogs, "log", self, self.far_behind)  # type: ignore[arg-type]  # the parts of it that are asked

    def append(self, key: str, value: bytes) -> None:
        self.records.append(Record(0, len(self.records), key, value))

    def pass_time(self, until: datetime) -> None:
        """Every timer that comes due puts its tick behind all that is there."""
        while (due := self.deciding.due(until)) is not None:
            key, at, partition_key = due
            self.append(partition_key, encode_tick(timer_tick(key, at), at))
        self.deciding.at = until

    def decide(self, alerts: int) -> Batch | None:
        """The next so many alerts, and the ticks in front of them."""
        end, found = self.position, 0
        while end < len(self.records) and found < alerts:
            found += b"quell.alert" in self.records[end].value
            end += 1
        return self.decide_to(end)

    def decide_to(self, end: int) -> Batch | None:
        if end == self.position:
            return None
        batch = Batch(0, self.records[self.position : end])
        self.deciding.give(batch.records)
        self.position = end
        return batch

    def look_on(self, batch: Batch) -> None:
        found = asyncio.run(self.look.on({0: self.position}, len(batch.records)))
        self.taken += found
        for each in found:
            self.deciding.dispositions.update(each.dispositions)

    async def write(self, work: Callable[[SqlTx], Any]) -> Any:
        if self.faults:
            raise self.faults.pop()
        return self.deciding.commit(work)

    def end(self, partition: int) -> int:
        return len(self.records)

    async def ahead(self, partition: int, offset: int, max_records: int) -> Sequence[Record]:
        found = self.records[offset : offset + max_records]
        self.looked_at += [each.offset for each in found]
        return found

    def outcome(self) -> object:
        """All that doesn't depend on which alert opened an incident first."""
        tx = SqlTx(self.deciding.connection, lambda: self.deciding.at, reading=True)
        incidents = sorted(
            (
                *(each.correlation_key, each.rule_id, each.status, each.severity),
                *(each.open_count, each.occurrences, each.flaps, bool(each.absorbed_by)),
                bool(each.previous_id),
            )
            for each in tx.incidents(IncidentFilter(limit=1000))
        )
        groups = self.deciding.connection.execute(
            text("SELECT id, document FROM groups ORDER BY id")
        ).all()
        # A cause asks all that fire then, so there may be a timer more that changes nothing.
        decided = {name: n for name, n in self.deciding.dispositions.items() if name != "tick"}
        return incidents, tx.conditions.held(1000), groups, decided


def play(partition: Partition, said: Sequence[Turn], *, looks: bool) -> None:
    """Everything that was said, decided on late; then all that is left, with its timers."""
    at = START
    for turn in said:
        at += timedelta(seconds=turn.notice.after_s)
        partition.pass_time(at)
        alert = alert_of(turn.notice, at)
        partition.append(alert.partition_key, encode_alert(alert))
        batch = partition.decide(turn.decides)
        if batch is not None and looks and turn.looks:
            partition.look_on(batch)
    for _ in range(45):
        partition.decide_to(len(partition.records))
        at += timedelta(minutes=1)
        partition.pass_time(at)
    partition.decide_to(len(partition.records))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(said=turns)
def test_a_look_at_any_place_comes_to_the_same(catalog: Catalog, said: Sequence[Turn]) -> None:
    with deciding(catalog) as first, deciding(catalog) as second:
        in_order, looked = Partition(first), Partition(second)
        play(in_order, said, looks=False)
        play(looked, said, looks=True)
        assert looked.outcome() == in_order.outcome()


@pytest.fixture
def partition(catalog: Catalog) -> Iterator[Partition]:
    with deciding(catalog) as alone:
        yield Partition(alone)


def say(partition: Partition, *notices: Notice) -> None:
    """All at one time, behind what is there."""
    for notice in notices:
        alert = alert_of(notice, START)
        partition.append(alert.partition_key, encode_alert(alert))


def other(number: int) -> Notice:
    return Notice(0, "Other", "a", str(number), "firing", "1")


GRAVE = Notice(0, "Urgent", "a", "x", "firing", "1")


def went_ahead(partition: Partition) -> int:
    return sum(each.dispositions.total() for each in partition.taken)


def test_a_p1_behind_others_goes_ahead(partition: Partition) -> None:
    say(partition, *map(other, range(9)), GRAVE)
    batch = partition.decide(1)
    assert batch is not None
    partition.look_on(batch)
    assert [each.rule_id for each in partition.taken[0].opened] == ["urgent"]


@pytest.mark.parametrize(("behind", "ahead"), [(9, 0), (8, 1)])
def test_only_from_so_many_records_on_is_it_looked_for(
    partition: Partition, behind: int, ahead: int
) -> None:
    partition.look.far_behind = behind
    say(partition, *map(other, range(8)), GRAVE)
    batch = partition.decide(1)
    assert batch is not None
    partition.look_on(batch)
    assert went_ahead(partition) == ahead


@pytest.mark.parametrize(
    "in_front",
    [
        pytest.param(replace(GRAVE, status="resolved"), id="it ended"),
        pytest.param(GRAVE, id="it began"),
    ],
)
def test_nothing_passes_a_record_of_its_own_fingerprint(
    partition: Partition, in_front: Notice
) -> None:
    say(partition, other(0), in_front, other(1), GRAVE)
    batch = partition.decide(1)
    assert batch is not None
    partition.look_on(batch)
    assert went_ahead(partition) == (in_front is GRAVE)
    partition.decide_to(4)
    assert sum(partition.deciding.dispositions.values()) == 4


def test_nothing_passes_a_timer_of_its_own(partition: Partition) -> None:
    say(partition, other(0))
    fingerprint = alert_of(GRAVE, START).fingerprint
    partition.append("a", encode_tick(timer_tick(f"hold_due/{fingerprint}", START), START))
    say(partition, GRAVE)
    batch = partition.decide(1)
    assert batch is not None
    partition.look_on(batch)
    assert went_ahead(partition) == 0


def test_each_record_is_looked_at_once(partition: Partition) -> None:
    say(partition, *map(other, range(300)), GRAVE, *map(other, range(300, 700)))
    for _ in range(3):
        batch = partition.decide(100)
        assert batch is not None
        partition.look_on(batch)
    assert partition.looked_at == [*range(100, 701)]
    assert went_ahead(partition) == 1


def test_what_is_kept_of_them_is_bounded(
    partition: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "SEEN_AT_MOST", 50)
    say(partition, *map(other, range(200)), GRAVE)
    for end in (10, 60, 100):
        batch = partition.decide_to(end)
        assert batch is not None
        partition.look_on(batch)
        assert max(partition.looked_at) < end + 50
    assert went_ahead(partition) == 0
    for end in (150, 160):
        batch = partition.decide_to(end)
        assert batch is not None
        partition.look_on(batch)
    assert went_ahead(partition) == 1


def test_it_waits_where_too_many_went_ahead_already(
    partition: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "MAX_AHEAD", 2)
    grave = [replace(GRAVE, instance=each) for each in "xyz"]
    say(partition, *map(other, range(4)), *grave, other(4))
    taken = []
    for _ in range(6):
        batch = partition.decide(1)
        assert batch is not None
        partition.look_on(batch)
        taken.append(went_ahead(partition))
    # The last one in front of it, and then the first that went ahead, had their turn.
    assert taken == [2, 2, 2, 2, 3, 3]
    partition.decide_to(8)
    assert partition.deciding.dispositions["new"] == 3


def test_a_record_that_says_nothing_hides_nothing(partition: Partition) -> None:
    say(partition, other(0))
    partition.append("a", b"{}")
    say(partition, GRAVE)
    batch = partition.decide(1)
    assert batch is not None
    partition.look_on(batch)
    assert went_ahead(partition) == 1


def test_a_gap_in_quell_leaves_every_record_its_turn(
    partition: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(partition, *map(other, range(3)), GRAVE, *map(other, range(3, 6)))
    gaps = iter([ZeroDivisionError("a gap")])

    def gap(*_: object) -> object:
        raise next(gaps)

    with monkeypatch.context() as patch:
        patch.setattr(looking, "standing", gap)
        for _ in range(2):
            batch = partition.decide(1)
            assert batch is not None
            with capture_logs() as logs:
                partition.look_on(batch)
            assert [each["event"] for each in logs] == ["look_ahead_failed"][: len(logs)]
    assert next(gaps, None) is None, "it isn't tried again at once"
    partition.decide_to(7)
    assert (went_ahead(partition), partition.deciding.dispositions["new"]) == (0, 1)


@pytest.mark.parametrize("error", [FencedError("moved"), ConflictError("opened meanwhile")])
def test_another_replica_that_was_faster_is_looked_past_next_time(
    partition: Partition, error: Exception
) -> None:
    say(partition, *map(other, range(3)), GRAVE)
    partition.faults.append(error)
    for ahead_now in (0, 1):
        batch = partition.decide(1)
        assert batch is not None
        partition.look_on(batch)
        assert went_ahead(partition) == ahead_now


def test_a_store_that_is_away_is_for_the_pipeline_to_tell(partition: Partition) -> None:
    say(partition, *map(other, range(3)), GRAVE)
    partition.faults.append(TransientError("away"))
    batch = partition.decide(1)
    assert batch is not None
    with pytest.raises(TransientError):
        partition.look_on(batch)
    partition.look_on(batch)
    assert went_ahead(partition) == 1
