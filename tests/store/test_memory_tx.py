"""A replay's transaction: timers in their order, and the same decisions as over the real store."""

from datetime import timedelta

from engine.core.conditions import GroupState, Mark
from engine.core.switches import Switch
from engine.ports.rows import Task
from engine.store.memory_tx import MemoryTx, Timers
from tests.doubles.declarations import AT


def timer(key: str, seconds: float) -> Task:
    return Task("tick", key, AT + timedelta(seconds=seconds), 3, {"partition_key": "k"})


def test_timers_come_by_time_and_then_as_they_were_set() -> None:
    timers = Timers()
    for key, seconds in (("late/a", 5), ("first/b", 1), ("first/a", 1)):
        timers.put(timer(key, seconds))
    assert timers.next_due == AT + timedelta(seconds=1)
    assert [task.key for task in timers.take()] == ["first/b", "first/a"]
    assert [task.key for task in timers.take()] == ["late/a"]
    assert timers.next_due is None
    assert not timers.take()


def test_a_timer_that_was_moved_comes_once_and_a_cancelled_one_never() -> None:
    timers = Timers()
    timers.put(timer("a/1", 1))
    timers.put(timer("a/2", 1))
    timers.put(timer("a/1", 9))
    timers.put(timer("a/1", 3))
    timers.cancel("a/2")
    assert timers.next_due == AT + timedelta(seconds=3)
    assert [task.key for task in timers.take()] == ["a/1"]
    assert timers.next_due is None


def test_a_timer_moved_away_and_back_comes_once() -> None:
    timers = Timers()
    for seconds in (1, 9, 1):
        timers.put(timer("a/1", seconds))
    assert [task.key for task in timers.take()] == ["a/1"]
    assert timers.next_due is None


def test_only_timers_are_kept_of_tasks() -> None:
    tx = MemoryTx(AT)
    tx.put_task(Task("message", "m", AT, 1, {}))
    assert tx.timers.next_due is None
    tx.close()


def test_a_switch_is_turned_on_once_and_stays_on_until_it_is_turned_off() -> None:
    switches = MemoryTx(AT).switches
    first, second = (Switch("brake", "engine", reason, AT) for reason in ("one", "two"))
    assert switches.find("brake") is None
    assert switches.turn_on(first)
    assert not switches.turn_on(second)
    assert switches.find("brake") == first
    assert switches.turn_off("brake")
    assert not switches.turn_off("brake")
    assert switches.find("brake") is None


def test_what_a_group_was_when_it_was_put_is_kept_and_another_is_empty() -> None:
    conditions = MemoryTx(AT).conditions
    counted = GroupState("g", marks=(Mark("a", AT),))
    conditions.put_group(counted)
    assert conditions.group("g") == counted
    assert conditions.group("h") == GroupState("h")
