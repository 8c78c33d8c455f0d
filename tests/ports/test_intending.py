"""The intent of a change that follows another one: written with that one's outcome, or not yet."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from typing_extensions import override

from engine.core import events
from engine.core.actions import Call, Repeat, Result
from engine.errors import TransientError
from engine.ports.store import Store
from engine.stages.runs import Pace
from tests.doubles.noting import NotingStore
from tests.doubles.scripted import OK
from tests.doubles.virtual_time import VirtualClock
from tests.doubles.world import ONCALL, World, a_world, approve, ended, mending
from tests.doubles.written import MORE_STEPS

Happens = Callable[[World], None]


async def after_the_first_change(world: World, happens: Happens) -> NotingStore:
    """The first of two approved changes is made, and this happens meanwhile."""

    async def mend(call: Call) -> Result:
        happens(world)
        return await mending(world)(call)

    noting = NotingStore(world.store)
    world.mend.will("restart", mend)
    await world.fire()
    row = await world.approval()
    await world.commands.decide(row.id, "approved", plan_hash=row.plan_hash, by=ONCALL)
    task = await world.claimed("run")
    await replace(world.runs, store=cast(Store, noting)).advance(task)
    return noting


def transaction_of(noting: NotingStore, kind: str) -> list[list[str]]:
    return [tx.kinds for tx in noting.seen if kind in tx.kinds]


@pytest.mark.parametrize(
    ("repeat", "together"),
    [(Repeat.HARMLESS, True), (Repeat.KEYED, True), (Repeat.NEVER, True), (Repeat.PROBE, False)],
)
async def test_an_outcome_and_the_next_intent_are_one_transaction_unless_a_probe_looks_before(
    tmp_path: Path, repeat: Repeat, together: bool
) -> None:
    async with a_world(tmp_path, playbook=MORE_STEPS) as world:
        world.mend.repeat = repeat
        noting = await after_the_first_change(world, lambda _: None)
        intended, ended_kind = events.AttemptIntended.KIND, events.AttemptEnded.KIND
        first, second = transaction_of(noting, intended)
        assert first == [intended]
        assert second == ([ended_kind, intended] if together else [intended])
        assert all(tx.held_stops for tx in noting.seen if intended in tx.kinds)


async def test_a_probe_alone_has_the_state_before_read(tmp_path: Path) -> None:
    for repeat, before in ((Repeat.PROBE, {"started": "1"}), (Repeat.HARMLESS, {})):
        async with a_world(tmp_path / repeat.value, playbook=MORE_STEPS) as world:
            world.mend.repeat = repeat
            await after_the_first_change(world, lambda _: None)
            told = await world.told(events.AttemptIntended)
            assert [each.before for each in told] == [before, before]


async def test_a_stop_during_a_change_keeps_its_outcome_and_begins_no_other(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, playbook=MORE_STEPS) as world:
        world.mend.repeat = Repeat.HARMLESS

        async def mend(_: Call) -> Result:
            await world.commands.stop("all", "", by=ONCALL, reason="wrong region")
            return OK

        world.mend.will("restart", mend)
        await world.fire()
        await approve(world)
        (first,) = await world.told(events.AttemptEnded)
        assert (first.step_id, first.outcome) == ("restart", "succeeded")
        assert world.mend.done("warm") == 0
        assert (await ended(world))[0] == "cancelled"


async def test_a_process_that_is_about_to_end_keeps_the_outcome_and_begins_no_other(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, playbook=MORE_STEPS) as world:
        world.mend.repeat = Repeat.HARMLESS
        paces: list[Pace] = ["on"]

        async def mend(_: Call) -> Result:
            paces.append("stopping")
            return OK

        world.mend.will("restart", mend)
        await world.fire()
        row = await world.approval()
        await world.commands.decide(row.id, "approved", plan_hash=row.plan_hash, by=ONCALL)
        task = await world.claimed("run")
        await replace(world.runs, pace=lambda: paces[-1]).advance(task)
        assert [each.step_id for each in await world.told(events.AttemptEnded)] == ["restart"]
        assert world.mend.done("warm") == 0
        await world.settle()
        assert world.mend.done("warm") == 1


@dataclass
class RightClock(VirtualClock):
    """As another one's, whatever that one shows."""

    other: VirtualClock = field(default_factory=VirtualClock)

    @override
    def now(self) -> datetime:
        return self.other.at


async def test_a_clock_that_jumps_during_a_change_keeps_the_outcome_and_begins_no_other(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, playbook=MORE_STEPS) as world:
        world.store._clock = RightClock(other=world.clock)
        world.mend.repeat = Repeat.HARMLESS

        def jump(world: World) -> None:
            world.clock.wrong_by = timedelta(seconds=-600)

        with pytest.raises(TransientError, match="off the store's: nothing is changed"):
            await after_the_first_change(world, jump)
        assert [each.step_id for each in await world.told(events.AttemptEnded)] == ["restart"]
        assert world.mend.done("warm") == 0
