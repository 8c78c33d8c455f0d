"""For any playbook and any luck: what a run never does, and that it ends."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core import events
from engine.core.expressions import Scope, ValueType, compile_expression
from engine.core.loops import Loop
from engine.core.plan import AFTER_CANCEL, PlannedStep
from engine.core.playbook import Step
from engine.core.run import RunState
from engine.core.run_commands import (
    Attempt,
    Ended,
    Probe,
    Record,
)
from engine.core.run_repeats import may_repeat
from engine.core.scopes import condition_scope
from tests.doubles.runs import START, Drive, a_playbook, a_step, a_wait

AFTER_A_FAILURE = compile_expression("failure()", condition_scope(Scope()), ValueType.BOOL)
ALWAYS = compile_expression("always()", condition_scope(Scope()), ValueType.BOOL)
DEADLINE = a_playbook().deadline
STOPPED = "stopped by local:me: wrong region"

luck = st.lists(
    st.sampled_from(
        ["succeeded", "failed", "not begun", "unknown", "crash", "cancel", "stop", "late"]
    ),
    min_size=12,
    max_size=12,
)


@given(
    undoable=st.lists(st.booleans(), min_size=1, max_size=4),
    cleaning=st.booleans(),
    luck=luck,
    answers=st.lists(st.sampled_from(["done", "not_done", "cannot_tell", "in_progress"])),
    repeat=st.sampled_from(["harmless", "probe", "never"]),
    holds=st.booleans(),
)
@settings(deadline=None, max_examples=150)
def test_any_run_with_any_luck_ends_once_and_keeps_the_rules(
    undoable: list[bool],
    cleaning: bool,
    luck: list[str],
    answers: list[str],
    repeat: str,
    holds: bool,
) -> None:
    steps = tuple(
        a_step(f"s{n}", rollback=(a_step(f"u{n}", "rollback"),) if undo else ())
        for n, undo in enumerate(undoable)
    )
    if cleaning:
        steps += (a_step("clean", condition=AFTER_A_FAILURE),)
    playbook = replace(a_playbook(*steps), on_cancel=(a_step("hang_up", "on_cancel"),))
    drive = Drive(playbook, repeat=repeat)  # type: ignore[arg-type]
    undone: list[str] = []
    answers = [*answers, *["cannot_tell"] * 50]
    for _ in range(200):
        command = drive.until_interesting(holds=holds)
        if isinstance(command, Ended):
            break
        if isinstance(command, Record):
            drive.decide("approved")
        if isinstance(command, Probe):
            assert drive.now >= events.moment(command.attempt.not_after) + timedelta(seconds=5)
            drive.probe(command, answers.pop(0))
        if isinstance(command, Attempt):
            phase = command.step.phase
            cancelled = bool(drive.state.cancelled_by)
            assert phase in AFTER_CANCEL or not cancelled, "a cancelled run went on with its plan"
            assert phase != "on_cancel" or cancelled, "nobody cancelled it"
            if phase == "steps" and command.step.id != "clean":
                assert not others_failed(drive.state, command.step.id), "a step was not skipped"
                assert not is_late(drive), "a step began after the deadline"
            assert not drive.stopped, "a change was commanded while everything is stopped"
            approval = drive.state.approval
            assert approval is not None
            assert approval.decision == "approved"
            known = drive.state.step(command.step.phase, command.step.id)
            assert known.outcome in ("pending", "failed", "unknown")
            harmless = known.outcome == "unknown" and command.step.repeat == "harmless"
            assert known.outcome == "pending" or known.repeatable or harmless, "repeated"
            if command.step.phase == "rollback":
                undone.append(command.step.undoes)
            intent = drive.intend(command)
            _let_happen(drive, intent, luck.pop(0) if luck else "succeeded")
    assert drive.state.outcome is not None
    assert undone == sorted(undone, reverse=True), "rollback is not in reverse order"
    assert sum(isinstance(event, events.RunEnded) for event, _, _ in drive.story) == 1
    assert drive.now - START < timedelta(hours=26)


@given(
    words=st.lists(
        st.sampled_from(["change", "wait", "failure()", "always()", "foreach"]),
        min_size=1,
        max_size=4,
    ),
    serial=st.integers(1, 3),
    stop_after=st.integers(1, 3),
    luck=st.lists(
        st.sampled_from(["succeeded"] * 4 + ["failed", "not begun", "unknown", "crash", "late"]),
        min_size=20,
        max_size=20,
    ),
    repeat=st.sampled_from(["harmless", "probe", "never"]),
)
@settings(deadline=None, max_examples=150)
def test_any_words_with_any_luck_hold_what_they_promise(
    words: list[str], serial: int, stop_after: int, luck: list[str], repeat: str
) -> None:
    steps = [each for n, word in enumerate(words) for each in written(word, n, serial, stop_after)]
    drive = Drive(a_playbook(*steps), repeat=repeat)  # type: ignore[arg-type]
    begun: list[str] = []
    undone: list[str] = []
    for _ in range(300):
        command = drive.until_interesting(holds=True)
        if isinstance(command, Ended):
            break
        if isinstance(command, Record):
            drive.decide("approved")
        if isinstance(command, Probe):
            drive.probe(command, "done" if len(begun) % 2 else "not_done")
        if isinstance(command, Attempt):
            state, step = drive.state, command.step
            assert all(s.attempt is None or s.outcome != "open" for s in state.steps.values())
            if step.phase == "steps":
                assert_its_turn(drive, step, stop_after)
                begun += [step.id] if step.id not in begun else []
            elif step.undoes not in undone:
                undone.append(step.undoes)
            _let_happen(drive, drive.intend(command), luck.pop(0) if luck else "succeeded")
    assert drive.state.outcome is not None
    assert undone == [each for each in reversed(begun) if each in undone]
    failed = any(known.outcome in ("failed", "unknown") for known in drive.state.steps.values())
    assert not (drive.state.outcome == "succeeded" and (failed or drive.state.late))


def written(word: str, number: int, serial: int, stop_after: int) -> list[Step]:
    """What a word stands for; changes have a rollback."""
    change = a_step(f"s{number}", rollback=(a_step(f"u{number}", "rollback"),))
    match word:
        case "wait":
            return [a_wait(f"s{number}", 30)]
        case "failure()":
            return [replace(change, condition=AFTER_A_FAILURE)]
        case "always()":
            return [replace(change, condition=ALWAYS)]
        case "foreach":
            loop = Loop(f"l{number}", ["a", "b", "c"], "host", (serial,), stop_after)
            behind = a_step(f"t{number}")
            return [replace(each, loop=loop) for each in (change, a_wait(f"w{number}", 5), behind)]
        case _:
            return [change]


def assert_its_turn(drive: Drive, step: PlannedStep, stop_after: int) -> None:
    """Whether the words in front of a step, and its own, let it begin."""
    state, plan = drive.state, drive.state.plan
    assert plan is not None
    steps = plan.of("steps")
    failed = [
        each
        for each in steps
        if each.id != step.id and state.step("steps", each.id).outcome in ("failed", "unknown")
        if not may_repeat(each, state.step("steps", each.id))
    ]
    lost = {(s.place.loop, s.place.item) for s in failed if s.place is not None and s.place.item}
    loops = [loop for loop, _ in lost]
    hard = any(each.place is None for each in failed)
    is_over = hard or any(loops.count(each) >= stop_after for each in loops) or is_late(drive)
    if not step.condition:
        assert not is_over, "it begins although the plan is over"
        assert step.place is None or (step.place.loop, step.place.item) not in lost
    if step.condition == "failure()":
        assert failed or state.late, "nothing has failed"
    for each in steps[: steps.index(step)]:
        over = state.step("steps", each.id).outcome not in ("pending", "open")
        assert over or is_over, f"{each.id} in front of it is not over"


def others_failed(state: RunState, step_id: str) -> bool:
    """Whether a step beside this one failed for good."""
    return any(
        phase == "steps" and name != step_id and known.outcome in ("failed", "unknown")
        for (phase, name), known in state.steps.items()
    )


def is_late(drive: Drive) -> bool:
    state = drive.state
    if state.began_at is None or not state.began:
        return False
    return drive.now >= state.began_at + DEADLINE


def _let_happen(drive: Drive, intent: events.AttemptIntended, what: str) -> None:
    match what:
        case "succeeded" | "failed" | "unknown":
            drive.end(intent, what)
        case "not begun":
            drive.end(intent, "failed", begun=False)
        case "late":
            drive.end(intent, "succeeded")
            drive.now += DEADLINE
        case "stop":
            drive.stopped = STOPPED
        case "cancel":
            drive.end(intent, "succeeded")
            drive.write(events.RunCancelled(run_id="run"), "local:me")
        case _:
            assert what == "crash"
