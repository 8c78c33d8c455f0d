"""Silences of what a run expects, as rows of the store."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from engine.core.plan import Plan
from engine.ports.expecting import expect, expect_no_more
from tests.core.test_expected_alerts import plan
from tests.doubles.runs import an_incident
from tests.doubles.world import World, a_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as opened:
        yield opened


async def ends(world: World) -> list[timedelta]:
    found = await world.store.read(lambda tx: tx.silences.current())
    return [each.ends_at - world.clock.at for each in found]


async def test_it_begins_once_and_is_over_some_time_after_the_run(world: World) -> None:
    expected: Plan = plan(deadline_s=600)
    told = await world.store.write(lambda tx: expect(tx, expected, an_incident()))
    assert len(told) == 1
    assert await world.store.write(lambda tx: expect(tx, expected, an_incident())) == []
    assert await ends(world) == [timedelta(minutes=15)]
    await world.store.write(lambda tx: expect_no_more(tx, expected))
    assert await ends(world) == [timedelta(minutes=5)]


async def test_the_end_of_another_run_ends_nothing(world: World) -> None:
    await world.store.write(lambda tx: expect(tx, plan(deadline_s=600), an_incident()))
    other = plan(deadline_s=600, run_id="other")
    await world.store.write(lambda tx: expect_no_more(tx, other))
    assert await ends(world) == [timedelta(minutes=15)]
