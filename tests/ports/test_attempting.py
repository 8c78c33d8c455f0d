"""What a worker begins after its intent, and what it no longer does."""

from datetime import timedelta

import pytest

from engine.core import events
from engine.core.actions import Call, Estate
from engine.core.reporting import not_after
from engine.ports.attempting import Attempting
from tests.doubles.world import World

TIMEOUT_S = 60.0


@pytest.mark.parametrize(
    ("late_s", "begun"),
    [
        pytest.param(0.0, True, id="the effect ends in time"),
        pytest.param(1.0, False, id="it might be under way when others look"),
    ],
)
async def test_a_worker_that_was_held_up_begins_nothing(
    world: World, late_s: float, begun: bool
) -> None:
    inputs = {"what": "restart", "host": "gpu-07"}
    prepared = world.mend.prepare(inputs, Estate({}, {}, {}), None)
    intent = events.AttemptIntended(
        run_id="run1",
        attempt_id="attempt1",
        phase="steps",
        step_id="restart",
        number=1,
        description="restart",
        effect="change",
        targets=("gpu-07",),
        not_after=not_after(world.clock.at, TIMEOUT_S).isoformat(),
    )
    begin_by = world.clock.monotonic()
    world.clock.advance(late_s)
    world.clock.wrong_by = timedelta(hours=-1)  # what this machine takes the time for is no matter
    attempting = Attempting(world.store, world.clock, ("restart",))
    call = Call(prepared, "attempt1", TIMEOUT_S)
    ending = await attempting.make(world.mend, call, intent, begin_by)
    assert ending.begun is begun
    assert world.mend.done("restart") == int(begun)
