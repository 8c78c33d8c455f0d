from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from engine.app.process import AnchoredClock
from engine.app.store_time import StoreTime
from engine.ports.store import Store
from tests.doubles.virtual_time import START, VirtualClock


@dataclass
class TimedStore:
    """Tells the right time, `late_s` after it was asked."""

    world: VirtualClock
    late_s: float = 0.0

    @property
    def now(self) -> datetime:
        return self.world.at

    async def read(self, work: Callable[["TimedStore"], Any]) -> Any:
        told = work(self)
        self.world.advance(self.late_s)
        return told


def store_time(machine: VirtualClock, store: TimedStore) -> StoreTime:
    return StoreTime(cast(Store, store), AnchoredClock(machine))


async def test_a_machine_that_starts_with_a_wrong_clock_has_the_store_s_time() -> None:
    machine = VirtualClock(wrong_by=timedelta(hours=-4))
    found = store_time(machine, TimedStore(machine))
    assert found.clock.now() == START - timedelta(hours=4)
    await found.look()
    assert found.clock.now() == START
    machine.wrong_by = timedelta(days=1)
    machine.advance(100)
    assert found.clock.now() == START + timedelta(seconds=100), "a jump of the machine's is no news"


@pytest.mark.parametrize(
    ("off_s", "late_s", "then_s"),
    [
        pytest.param(0.4, 0.0, 0.4, id="no jump, so no step back"),
        pytest.param(0.6, 0.0, 0.0, id="a jump"),
        pytest.param(-0.6, 0.0, 0.0, id="a jump back"),
        pytest.param(9.0, 0.4, -0.4, id="an answer as late as it may be"),
        pytest.param(9.0, 0.6, 9.0, id="an answer that is too old to tell"),
    ],
)
async def test_it_is_set_only_where_the_answer_proves_it_wrong(
    off_s: float, late_s: float, then_s: float
) -> None:
    machine = VirtualClock(wrong_by=timedelta(seconds=off_s))
    found = store_time(machine, TimedStore(machine, late_s))
    machine.wrong_by = timedelta(0)
    await found.look()
    assert (found.clock.now() - machine.at).total_seconds() == pytest.approx(then_s)
