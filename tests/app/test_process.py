"""The clock of a store that quell keeps itself: set once, whatever happens to the machine's."""

from datetime import UTC, datetime, timedelta

from engine.app import SystemClock
from engine.app.process import AnchoredClock
from tests.doubles.virtual_time import VirtualClock


def test_a_machine_whose_clock_is_set_moves_no_lease_and_no_bound() -> None:
    machine = VirtualClock()
    store = AnchoredClock(machine)
    began = store.now()
    for wrong_by in (timedelta(hours=1), timedelta(hours=-1), timedelta(days=30)):
        machine.wrong_by = wrong_by
        machine.advance(10)
    assert store.now() - began == timedelta(seconds=30)
    assert abs(machine.now() - store.now()) > timedelta(seconds=5), "which stops all changes"


async def test_it_sleeps_as_the_machine_does() -> None:
    clock = AnchoredClock(SystemClock())
    began, began_s = clock.now(), clock.monotonic()
    await clock.sleep(0.01)
    assert clock.monotonic() - began_s >= 0.01
    assert clock.now() - began >= timedelta(seconds=0.01)


def test_the_system_s_clock_shows_the_time_in_utc() -> None:
    now = SystemClock().now()
    assert now.tzinfo is UTC
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=30)
