"""What the steps of a plan need next, where some of them stand side by side."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core import events
from engine.core.inventory import Inventory
from engine.core.loops import Loop
from engine.core.playbook import Step
from engine.core.run import fold
from engine.core.run_commands import Attempt, Busy, Command, Confirm, Ended, Read, Record, Wait
from engine.core.run_machine import next_commands
from engine.core.run_repeats import has_failed
from engine.core.run_world import World
from tests.doubles.runs import RUN, Drive, a_playbook, a_step, a_wait

NOTHING: frozenset[tuple[str, str]] = frozenset()


def branches(*rows: str, retry_attempts: int = 1) -> list[Step]:
    """The steps of a parallel, each row a branch: "a b" is first a, then b."""
    return [
        replace(
            a_step(name, rollback=(a_step(f"undo_{name}", "rollback"),)),
            lane=("both", row.split()[0]),
            retry_attempts=retry_attempts,
        )
        for row in rows
        for name in row.split()
    ]


class Worker:
    """What one would do, with what it has under way."""

    def __init__(self, *steps: Step) -> None:
        self.drive = Drive(a_playbook(*steps))
        self.drive.to_first_attempt()
        self.intents: dict[str, events.AttemptIntended] = {}

    def next(self) -> tuple[Command, ...]:
        drive = self.drive
        keys = frozenset(("steps", name) for name in self.intents)
        world = World(drive.now, drive.incident, drive.playbook, Inventory(), under_way=keys)
        state = fold(RUN, drive.story)
        assert state is not None
        return next_commands(state, replace(world, stopped=drive.stopped))

    def begin(self, *names: str) -> None:
        for command in self.next():
            if isinstance(command, Attempt) and command.step.id in names:
                self.intents[command.step.id] = self.drive.intend(command)
        assert set(names) <= set(self.intents), "the machine doesn't say so"

    def end(self, name: str, outcome: events.AttemptOutcome, *, begun: bool = True) -> None:
        self.drive.end(self.intents.pop(name), outcome, begun=begun)

    def quietly(self) -> tuple[Command, ...]:
        """What is next once all that changes nothing outside is done; () at the end."""
        for _ in range(100):
            commands = self.next()
            if any(isinstance(each, Ended) for each in commands):
                return ()
            quiet = [each for each in commands if isinstance(each, Record | Read | Confirm)]
            if not quiet and (self.intents or not isinstance(commands[0], Wait)):
                return commands
            self.drive.obey_quietly((quiet or commands)[0], holds=True)
        raise AssertionError("it comes to no end")

    def told(self) -> list[str]:
        """What is next, in words."""
        return [_word(each) for each in self.next()]


def _word(command: Command) -> str:
    match command:
        case Attempt():
            return command.step.id
        case Record():
            return type(command.event).__name__
        case _:
            return type(command).__name__


def test_the_first_step_of_each_branch_is_next() -> None:
    worker = Worker(*branches("a b", "c"), a_step("after"))
    assert worker.told() == ["a", "c"]


def test_a_branch_goes_on_beside_what_is_under_way() -> None:
    worker = Worker(*branches("a b", "c"), a_step("after"))
    worker.begin("a", "c")
    assert worker.told() == ["Busy"]
    worker.end("a", "succeeded")
    assert worker.told() == ["b", "Busy"]
    worker.begin("b")
    worker.end("c", "succeeded")
    assert worker.told() == ["Busy"]
    worker.end("b", "succeeded")
    assert worker.told() == ["after"]


@pytest.mark.parametrize("failed", ["a", "c"])
def test_after_a_failure_no_branch_begins_anything(failed: str) -> None:
    worker = Worker(*branches("a b", "c d"), a_step("after"))
    worker.begin("a", "c")
    (other,) = {"a", "c"} - {failed}
    worker.end(failed, "failed")
    assert worker.told() == ["Busy"]
    worker.end(other, "succeeded")
    assert worker.told() == ["undo_c"], "what is begun last is undone first"


def test_an_item_that_failed_keeps_no_other_from_going_on() -> None:
    loop = Loop("each", ["x", "y"], "host", (2,), 2)
    worker = Worker(*(replace(each, loop=loop) for each in (a_step("a"), a_step("b"))))
    assert worker.told() == ["a[x]", "a[y]"]
    worker.begin("a[x]", "a[y]")
    worker.end("a[x]", "failed")
    assert worker.told() == ["Busy"], "a batch goes step by step"
    worker.end("a[y]", "succeeded")
    assert worker.told() == ["StepSkipped"]
    worker.drive.write(next(c.event for c in worker.next() if isinstance(c, Record)))
    assert worker.told() == ["b[y]"]


def test_a_repeat_waits_beside_what_is_under_way() -> None:
    worker = Worker(*branches("a", "c", retry_attempts=2))
    worker.begin("a", "c")
    worker.end("a", "failed", begun=False)
    found = worker.next()
    assert [type(each) for each in found] == [Busy, Wait]
    worker.drive.now += timedelta(seconds=5)
    assert worker.told() == ["a", "Busy"]


def test_what_lets_time_pass_is_over_when_its_time_is() -> None:
    first, second = replace(a_wait("w", 30), lane=("both", "w")), *branches("c")
    worker = Worker(a_step("before"), first, second)
    worker.begin("before")
    worker.end("before", "succeeded")
    assert worker.told() == ["StepWaiting"], "what is journaled comes alone"
    worker.drive.write(next(c.event for c in worker.next() if isinstance(c, Record)))
    assert worker.told() == ["c", "Wait"]
    worker.begin("c")
    assert worker.told() == ["Busy", "Wait"]
    worker.end("c", "succeeded")
    assert worker.told() == ["Wait"]


def test_an_unknown_outcome_comes_before_all_that_is_next() -> None:
    worker = Worker(*branches("a b", "c d"))
    worker.begin("a", "c")
    del worker.intents["a"]
    assert worker.told() == ["Wait"], "a was begun by who is gone"


@pytest.mark.parametrize("order", ["cancel", "stop"])
def test_the_end_waits_for_what_is_under_way(order: str) -> None:
    worker = Worker(*branches("a", "c"))
    worker.begin("a", "c")
    if order == "stop":
        worker.drive.stopped = "stopped by x"
        assert worker.told() == ["RunCancelled"]
        worker.drive.write(next(c.event for c in worker.next() if isinstance(c, Record)))
    else:
        worker.drive.write(events.RunCancelled(run_id=RUN), "local:me")
    assert worker.told() == ["Busy"]
    worker.end("a", "succeeded")
    worker.end("c", "succeeded")
    assert worker.told() == (["undo_c"] if order == "cancel" else ["RunEnded"])


def test_the_deadline_ends_every_branch() -> None:
    worker = Worker(*branches("a b", "c d"))
    worker.begin("a", "c")
    worker.end("a", "succeeded")
    worker.drive.now += timedelta(hours=1)
    assert worker.told() == ["DeadlinePassed"]
    worker.drive.write(next(c.event for c in worker.next() if isinstance(c, Record)))
    assert worker.told() == ["Busy"]
    worker.end("c", "succeeded")
    assert worker.told() == ["undo_c"]


@given(
    rows=st.lists(st.integers(1, 3), min_size=2, max_size=4),
    luck=st.lists(
        st.tuples(
            st.integers(0, 9),
            st.sampled_from(["begin"] * 3 + ["end"] * 3 + ["fail", "never", "cancel", "late"]),
        ),
        max_size=30,
    ),
)
@settings(deadline=None, max_examples=200)
def test_whatever_ends_first_the_rest_keeps_the_rules(
    rows: list[int], luck: list[tuple[int, str]]
) -> None:
    names = [" ".join(f"r{row}s{step}" for step in range(many)) for row, many in enumerate(rows)]
    worker = Worker(*branches(*names), a_step("after"))
    luck = [*luck, *[(0, "end"), (0, "begin")] * 60]
    undone: list[str] = []
    for which, what in luck:
        commands = worker.quietly()
        if not commands:
            break
        if what == "cancel" and not worker.drive.state.cancelled_by and worker.drive.state.began:
            worker.drive.write(events.RunCancelled(run_id=RUN), "local:me")
        elif what == "late":
            worker.drive.now += timedelta(minutes=20)
        elif what == "begin" and (ready := [c for c in commands if isinstance(c, Attempt)]):
            command = ready[which % len(ready)]
            assert command.step.id not in worker.intents, "it is under way"
            if command.step.phase == "rollback":
                assert not worker.intents, "the way back begins beside what is under way"
                undone.append(command.step.undoes)
            else:
                state = worker.drive.state
                assert not has_failed(state), "it begins after a failure"
                assert not state.cancelled_by, "it begins after a cancellation"
                row, step = command.step.id[:2], command.step.id[2:]
                before = [f"{row}s{n}" for n in range(int(step[1:]))] if row[0] == "r" else []
                assert all(state.step("steps", each).outcome == "succeeded" for each in before)
            worker.intents[command.step.id] = worker.drive.intend(command)
        elif what in ("end", "fail", "never") and worker.intents:
            name = sorted(worker.intents)[which % len(worker.intents)]
            if name.startswith("undo_") or what == "end":
                worker.end(name, "succeeded")
            else:
                worker.end(name, "failed", begun=what == "fail")
    order = [name for row in names for name in row.split()] + ["after"]
    assert undone == sorted(undone, key=order.index, reverse=True)
    assert len(undone) == len(set(undone))
    assert worker.drive.state.outcome is not None
