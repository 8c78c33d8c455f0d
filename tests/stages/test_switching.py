"""What a person turns off: auto acts again, once the storm is over."""

from pathlib import Path

import pytest

from engine.core import events
from engine.errors import DeniedError, NotFoundError
from engine.stages.switching import SwitchStage
from tests.doubles.world import ONCALL, STRANGER, World, a_world

BRAKED = "language: 1\nstorm_brake: {fraction: 30%, services: 2, within: 5m}\n"


def switching(world: World) -> SwitchStage:
    return SwitchStage(world.store, world.author)


async def a_storm(world: World) -> None:
    for service in ("search", "gateway"):
        await world.fire("Other", service=service)


async def test_the_brake_is_lifted_by_a_person_and_counts_anew(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto") as world:
        world.policy(BRAKED)
        with pytest.raises(NotFoundError, match="isn't on"):
            await switching(world).lift_brake(by=ONCALL)
        await a_storm(world)
        with pytest.raises(DeniedError):
            await switching(world).lift_brake(by=STRANGER)
        braked = await world.queries.brake()
        assert await switching(world).lift_brake(by=ONCALL, reason="it is over") == braked
        assert await world.queries.brake() is None
        entry = (await world.store.read(lambda tx: tx.entries("access")))[-1]
        assert entry.event() == events.BrakeLifted(reason="it is over", via="slack")
        assert entry.actor == ONCALL.actor
        await world.fire()
        assert world.mend.done("restart") == 1, "auto acts again, and one service is no storm"
        assert await world.queries.brake() is None
        await world.fire("Other", service="billing")
        assert await world.queries.brake() is not None, "the next storm brakes again"
