"""What stands still in quell becomes an incident like any other, by a way that isn't blocked."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from engine.core.incident import Incident
from engine.core.progress import STALLED_S, TASKS, Seen, Standing, partition_part
from engine.core.records import decode_record
from engine.errors import TransientError
from engine.stages.alarms import DECIDED_WITHIN_S, LOOK_EVERY_S, REPEAT_AFTER_S, AlarmStage
from tests.doubles.virtual_time import START, until
from tests.doubles.world import World


@dataclass
class Alarmed:
    """A stage and what it is told of the parts."""

    world: World
    standing: dict[str, Standing] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        world = self.world
        self.stage = AlarmStage(
            world.store, world.stream, world.clock, lambda: self.standing, lambda: self.reasons
        )
        for partition in (0, 1):
            self.stand(partition_part(partition), 0.0)

    def stand(self, part: str, stood_s: float = STALLED_S, waiting: int = 3) -> None:
        self.standing[part] = Standing(Seen(part, waiting, 0), START, stood_s)

    async def ends(self) -> Mapping[int, int]:
        return await self.world.stream.end_offsets()

    async def incident(self) -> Incident:
        (found,) = await self.world.incidents()
        return found


@pytest.fixture
def alarmed(world: World) -> Alarmed:
    return Alarmed(world)


@pytest.mark.parametrize("stalled", [0, 1])
async def test_a_stall_is_an_incident_even_where_its_own_partition_is_the_stalled_one(
    alarmed: Alarmed, stalled: int
) -> None:
    alarmed.stand(partition_part(stalled))
    await alarmed.stage.look()
    assert (await alarmed.ends())[stalled] == 0
    await alarmed.world.consume()
    incident = await alarmed.incident()
    assert incident.service == "quell"
    assert f"quell itself stands still: partition {stalled}: 3 records" in incident.title
    await alarmed.stage.look()
    alarmed.world.clock.advance(DECIDED_WITHIN_S)
    assert alarmed.stage.troubles() == []


async def test_it_is_repeated_before_it_expires_and_resolved_when_it_moves_again(
    alarmed: Alarmed,
) -> None:
    part = partition_part(0)
    alarmed.stand(part)
    for _ in range(40):
        await alarmed.stage.look()
        await alarmed.world.settle()
        alarmed.world.clock.advance(30)
    assert (await alarmed.incident()).status == "open"
    records = sum((await alarmed.ends()).values())
    assert records <= 40 * 30 / REPEAT_AFTER_S + 1
    alarmed.stand(part, 0.0)
    await alarmed.stage.look()
    await alarmed.world.consume()
    assert (await alarmed.incident()).status == "resolved"
    before = await alarmed.ends()
    await alarmed.stage.look()
    assert await alarmed.ends() == before


async def test_a_process_that_ends_leaves_an_alert_that_expires(alarmed: Alarmed) -> None:
    alarmed.stand(partition_part(0))
    await alarmed.stage.look()
    await alarmed.world.elapse(timedelta(minutes=6).total_seconds())
    assert (await alarmed.incident()).status == "resolved"


async def test_two_processes_raise_one_occurrence(alarmed: Alarmed) -> None:
    other = Alarmed(alarmed.world)
    for each in (alarmed, other):
        each.stand(TASKS)
        await each.stage.look()
    assert await alarmed.world.consume() == {"unmatched": 1, "repeat": 1}


async def test_where_nothing_is_decided_it_is_a_trouble_for_the_emergency_address(
    alarmed: Alarmed,
) -> None:
    alarmed.stand(partition_part(0))
    await alarmed.stage.look()
    alarmed.world.clock.advance(DECIDED_WITHIN_S - 1)
    await alarmed.stage.look()
    assert alarmed.stage.troubles() == []
    alarmed.world.clock.advance(1)
    await alarmed.stage.look()
    (trouble,) = alarmed.stage.troubles()
    assert trouble.name == "partition 0"
    assert trouble.sentence.endswith("and nothing else is decided. Restart it")
    await alarmed.world.consume()
    await alarmed.stage.look()
    assert alarmed.stage.troubles() == []


async def test_a_known_reason_is_in_the_alert(alarmed: Alarmed) -> None:
    alarmed.stand(partition_part(1))
    alarmed.reasons[1] = "partition 1 is to go on at 5 and holds 7 to 9"
    await alarmed.stage.look()
    (record,) = await alarmed.world.stream.read(0, 0, 10)
    alert = decode_record(record.value)
    assert getattr(alert, "annotations", {})["description"] == alarmed.reasons[1]


async def test_a_stream_that_is_away_is_asked_again(alarmed: Alarmed) -> None:
    alarmed.stand(TASKS)
    await alarmed.world.stream.close()
    with pytest.raises(TransientError):
        await alarmed.stage.look()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(alarmed.stage.run())
        await until(lambda: alarmed.world.clock.sleeping == 1)
        await alarmed.world.stream.open()
        alarmed.world.clock.advance(LOOK_EVERY_S)
        await until(lambda: alarmed.world.clock.sleeping == 0)
        await until(lambda: alarmed.world.clock.sleeping == 1)
        running.cancel()
    assert sum((await alarmed.ends()).values()) == 1
