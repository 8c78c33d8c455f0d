"""For any playbook and any luck: what a run never does, and that it ends."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core import events
from engine.core.expressions import Scope, ValueType, compile_expression
from engine.core.plan import AFTER_CANCEL
from engine.core.run import RunState
from engine.core.run_commands import (
    Attempt,
    Ended,
    Probe,
    Record,
)
from engine.core.scopes import condition_scope
from tests.doubles.runs import START, Drive, a_playbook, a_step

AFTER_A_FAILURE = compile_expression("failure()", condition_scope(Scope()), ValueType.BOOL)
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
