"""A record that is decided on ahead of its turn is decided on once, and fenced as any batch."""

from collections.abc import Iterator, Sequence, Set
from datetime import timedelta
from pathlib import Path

import pytest

from engine.core.alert import Alert
from engine.core.incident import REOPEN_WITHIN
from engine.core.looking_ahead import Ahead, standing
from engine.core.records import Tick, encode_alert, encode_tick
from engine.core.storm_brake import STORM_BRAKE
from engine.core.switches import Switch
from engine.errors import FencedError
from engine.ports.reached import reached
from engine.ports.stream import Batch, Record
from engine.stages.deciding import ahead
from engine.stages.deciding.ahead import Candidate, DecidedAhead, Sighted, decide_ahead
from tests.doubles.world import World, a_world
from tests.stages.test_switching import BRAKED

PARTITION = 0


class Log:
    """The records of one partition, and what was seen far behind in it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.records: list[Record] = []

    def append(self, *values: Alert | Tick) -> None:
        for value in values:
            if isinstance(value, Alert):
                key, body = value.partition_key, encode_alert(value)
            else:
                key, body = "timers", encode_tick(value, value.due_at)
            self.records.append(Record(PARTITION, len(self.records), key, body))

    async def ahead(
        self, *alerts: Alert, expected: int = 0, in_front: Sequence[Set[str]] = ()
    ) -> DecidedAhead:
        """Decide on the last records, which are of these alerts."""
        catalog, name = self.world.catalogs.active, self.world.stream.name
        candidates = list(self._candidates(alerts))
        sighted = Sighted(PARTITION, candidates, in_front)
        return await self.world.store.write(
            lambda tx: decide_ahead(tx, name, sighted, expected, catalog)
        )

    def _candidates(self, alerts: Sequence[Alert]) -> Iterator[Candidate]:
        for record, alert in zip(self.records[-len(alerts) :], alerts, strict=True):
            found = standing(alert, self.world.catalogs.active)
            assert isinstance(found, Ahead)
            yield Candidate(record, alert, found)

    async def in_turn(self, begin: int = 0, end: int | None = None) -> dict[str, int]:
        batch = Batch(PARTITION, self.records[begin:end])
        decided = await self.world.decide(batch, begin)
        return {str(name): n for name, n in decided.dispositions.items()}

    async def waiting(self) -> int:
        name, ends = self.world.stream.name, {PARTITION: len(self.records)}
        found = await self.world.store.read(lambda tx: reached(tx, name, ends))
        return found[PARTITION].waiting


@pytest.fixture
def log(world: World) -> Log:
    return Log(world)


def others(world: World, count: int) -> list[Alert]:
    return [world.alert("FanNoisy", {"service": "cooling", "fan": str(n)}) for n in range(count)]


async def test_what_went_ahead_is_passed_over_when_its_turn_comes(world: World, log: Log) -> None:
    grave = world.alert()
    log.append(*others(world, 3), grave)
    done = await log.ahead(grave)
    assert (dict(done.decided.dispositions), done.is_full) == ({"new": 1}, False)
    assert [each.rule_id for each in done.decided.opened] == ["watched", "down"]
    assert await log.waiting() == 3
    assert await log.in_turn() == {"unmatched": 3}
    assert await log.waiting() == 0
    assert (await world.incident()).occurrences == 1
    counters = await world.store.read(lambda tx: tx.counters())
    assert counters[f"records/{world.stream.name}"] == 4
    assert await world.store.read(lambda tx: tx.ahead.of_log(world.stream.name)) == {}


async def test_a_batch_in_front_of_it_leaves_it_noted(world: World, log: Log) -> None:
    grave = world.alert()
    log.append(*others(world, 3), grave)
    await log.ahead(grave)
    assert await log.in_turn(0, 2) == {"unmatched": 2}
    assert await log.waiting() == 1
    assert await log.in_turn(2) == {"unmatched": 1}


async def test_who_lost_the_partition_decides_nothing_ahead(world: World, log: Log) -> None:
    grave = world.alert()
    log.append(*others(world, 3), grave)
    await log.in_turn(0, 1)
    with pytest.raises(FencedError):
        await log.ahead(grave)
    assert [each.rule_id for each in await world.incidents()] == ["unmatched"]


async def test_two_that_see_the_same_record_decide_on_it_once(world: World, log: Log) -> None:
    grave = world.alert()
    log.append(*others(world, 3), grave)
    await log.ahead(grave)
    assert not (await log.ahead(grave)).decided.dispositions
    assert await log.waiting() == 3


async def test_a_repeat_of_what_fires_keeps_its_place(world: World, log: Log) -> None:
    first = world.alert()
    log.append(first)
    await log.in_turn()
    world.clock.advance(60)
    again = world.alert()
    log.append(*others(world, 2), again)
    assert not (await log.ahead(again, expected=1)).decided.dispositions
    assert await log.in_turn(1) == {"unmatched": 2, "repeat": 1}


async def test_one_that_fires_anew_goes_ahead_and_reopens(world: World, log: Log) -> None:
    log.append(world.alert(), world.alert(status="resolved"))
    await log.in_turn()
    world.clock.advance(60)
    anew = world.alert()
    log.append(*others(world, 2), anew)
    assert (await log.ahead(anew, expected=2)).decided.dispositions == {"new": 1}
    assert (await world.incident()).status == "open"


async def test_it_does_not_join_an_incident_that_a_timer_in_front_may_close(
    world: World, log: Log
) -> None:
    log.append(world.alert(), world.alert(status="resolved"))
    await log.in_turn()
    before = await world.incident()
    world.clock.advance((REOPEN_WITHIN + timedelta(seconds=1)).total_seconds())
    anew = world.alert()
    log.append(Tick("incident_close", before.id, world.clock.now()), anew)
    done = await log.ahead(anew, expected=2, in_front=[{"another"}, {before.id}])
    assert not done.decided.dispositions
    await log.in_turn(2)
    found = await world.incidents()
    assert [each.status for each in found if each.rule_id == "down"] == ["closed", "open"]


async def test_another_record_that_got_its_offset_is_decided_on(world: World, log: Log) -> None:
    grave = world.alert()
    log.append(*others(world, 3), grave)
    await log.ahead(grave)
    log.records.pop()  # the log was cut off there, and went on
    log.append(world.alert("DoorOpen"))
    assert await log.in_turn() == {"unmatched": 4}


async def test_a_release_that_knows_nothing_of_it_sees_a_repeat(world: World, log: Log) -> None:
    grave = world.alert()
    log.append(*others(world, 3), grave)
    await log.ahead(grave)
    forgetful = "DELETE FROM decided_ahead"
    await world.store.write(lambda tx: tx._connection.exec_driver_sql(forgetful))  # type: ignore[attr-defined]
    assert await log.in_turn() == {"unmatched": 3, "repeat": 1}
    assert len([each for each in await world.incidents() if each.rule_id == "down"]) == 1
    counters = await world.store.read(lambda tx: tx.counters())
    decided = sum(n for name, n in counters.items() if name.startswith("disposition/"))
    assert counters[f"records/{world.stream.name}"] == decided == 5


async def test_so_many_are_ahead_at_once_and_no_more(
    world: World, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "MAX_AHEAD", 2)
    grave = [world.alert(labels={"instance": f"host-{n}"}) for n in range(3)]
    log.append(*others(world, 1), *grave)
    done = await log.ahead(*grave)
    assert (dict(done.decided.dispositions), done.is_full) == ({"new": 2}, True)
    assert not (await log.ahead(*grave)).decided.dispositions
    assert await log.in_turn() == {"unmatched": 1, "new": 1}


async def test_what_acts_by_itself_does_not_pass_the_storm_that_would_brake_it(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, mode="auto") as world:
        world.policy(BRAKED)
        log, grave = Log(world), world.alert()
        log.append(*others(world, 3), grave)
        assert not (await log.ahead(grave)).decided.dispositions
        # Once the brake is on, it asks a person, and the sooner the better.
        await world.store.write(
            lambda tx: tx.switches.turn_on(Switch(STORM_BRAKE, "engine", "a storm", tx.now))
        )
        assert (await log.ahead(grave)).decided.dispositions == {"new": 1}


async def test_what_asks_goes_ahead_of_a_storm_and_what_nothing_brakes(tmp_path: Path) -> None:
    for mode, policy in (("approve", BRAKED), ("auto", "language: 1\n")):
        async with a_world(tmp_path / mode, mode=mode) as world:
            world.policy(policy)
            log, grave = Log(world), world.alert()
            log.append(*others(world, 3), grave)
            assert (await log.ahead(grave)).decided.dispositions == {"new": 1}
