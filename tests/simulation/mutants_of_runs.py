"""Mistakes in runs: invariants 4 to 6, 12 and 13."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from engine.core import (
    access,
    events,
    point_of_no_return,
    run,
    run_clearance,
    run_endings,
    run_machine,
    run_steps,
)
from engine.core.actions import Call
from engine.core.plan import attempt_id
from engine.core.point_of_no_return import Judgement
from engine.core.reporting import prepared
from engine.core.run_commands import Wait
from engine.errors import FencedError, OutcomeUnknownError, TransientError
from engine.ports import attempting, intending, recording
from engine.stages import commands, runs, tasks
from engine.store import task_rows, tx
from tests.simulation.mutant import Mutant, put, together, wrap


async def _act_first(
    original: Any, stage: Any, task: Any, seen: Any, *rest: Any, alone: bool
) -> Any:
    command = rest[-1]
    step = command.step
    ident = attempt_id(seen.state.run_id, step.phase, step.id, command.number)
    call = Call(prepared(step), ident, step.timeout_s)
    try:
        await stage.actions[step.uses].execute(call)
    except Exception:  # noqa: BLE001 - whatever it meets, the orderly attempt follows
        pass
    return await original(stage, task, seen, *rest, alone=alone)


async def _act_anyhow(
    original: Any, stage: Any, task: Any, seen: Any, *rest: Any, alone: bool
) -> Any:
    try:
        return await original(stage, task, seen, *rest, alone=alone)
    except (TransientError, OutcomeUnknownError):
        command = rest[-1]
        step = command.step
        ident = attempt_id(seen.state.run_id, step.phase, step.id, command.number)
        call = Call(prepared(step), ident, step.timeout_s)
        await stage.actions[step.uses].execute(call)
        raise


async def _another_id(original: Any, self: Any, action: Any, call: Any, *rest: Any) -> Any:
    return await original(self, action, replace(call, attempt_id="another"), *rest)


async def _never_begun(original: Any, *args: Any) -> Any:
    ending = await original(*args)
    if ending.outcome == "unknown":
        return replace(ending, outcome="failed", begun=False)
    return ending


def _beside(original: Any, state: Any, world: Any) -> Any:
    command = original(state, world)
    outcomes = {each.outcome for each in state.steps.values()}
    return None if isinstance(command, Wait) and "open" not in outcomes else command


def _unknown_is_undone(_: Any, step: Any, known: Any) -> bool:
    return bool(step.changes and known.outcome == "unknown" and known.attempts < 3)


def _hold_anyhow(original: Any, rows: Any, task: Any, lease_s: float | None) -> Any:
    try:
        return original(rows, task, lease_s)
    except FencedError:
        return "chain of nobody", None


def _hash_anyhow(original: Any, stage: Any, approval: str, decision: Any, **rest: Any) -> Any:
    async def decide() -> Any:
        row = await stage.store.read(lambda held: held.approval(approval))
        return await original(stage, approval, decision, **{**rest, "plan_hash": row.plan_hash})

    return decide()


def _ask_nobody(original: Any, state: Any, plan: Any, world: Any) -> Any:
    command = original(state, plan, world)
    return None if type(command).__name__ == "Wait" else command


def _forget_cancel(original: Any, state: Any, event: Any, at: Any, actor: str) -> Any:
    if isinstance(event, events.RunCancelled):
        return state
    return original(state, event, at, actor)


def _end_silently(original: Any, state: Any, outcome: Any, reason: str, **more: Any) -> Any:
    return original(state, outcome, "" if outcome == "failed" else reason, **more)


def _finish_instead(original: Any, rows: Any, task: Any, *_: Any, **rest: Any) -> None:
    rows.finish(task)


def _tell_no_end(original: Any, held: Any, incident: Any, event: Any) -> None:
    if not isinstance(event, events.RunEnded):
        original(held, incident, event)


def _without_task(original: Any, held: Any, incident: Any, event: Any) -> None:
    original(held, incident, event)
    if isinstance(event, events.ApprovalRequested):
        held.cancel_task("run", event.run_id)


OF_RUNS: Sequence[Mutant] = (
    Mutant("act, then intend", 4, wrap(runs.RunStage, "_attempt", _act_first)),
    Mutant("act although the intent failed", 4, wrap(runs.RunStage, "_attempt", _act_anyhow)),
    Mutant("act under another id", 4, wrap(attempting.Attempting, "make", _another_id)),
    Mutant("probe at once", 5, put(run_steps, "UNKNOWN_GRACE", timedelta(minutes=-5))),
    Mutant("no grace", 5, put(run_steps, "UNKNOWN_GRACE", timedelta(0))),
    Mutant("a time-out never began", 5, wrap(attempting.Attempting, "_act", _never_begun)),
    Mutant("unknown is repeated", 5, wrap(run_steps, "may_repeat", _unknown_is_undone)),
    Mutant("undone while under way", 5, wrap(run_machine, "settle_unknown", _beside)),
    Mutant("begun however late", 5, put(runs, "BEGIN_WITHIN", timedelta(days=1))),
    Mutant("the lease is not compared", 5, wrap(task_rows.TaskRows, "hold", _hold_anyhow)),
    Mutant(
        "no mode needs approval",
        6,
        together(
            put(run_clearance, "needs_approval", lambda *_: False),
            put(point_of_no_return, "needs_approval", lambda *_: False),
        ),
    ),
    Mutant("anybody may approve", 6, put(commands, "may_decide", lambda *_: access.Verdict(True))),
    Mutant("any plan's hash will do", 6, wrap(commands.CommandStage, "decide", _hash_anyhow)),
    Mutant(
        "an unanswered request is enough",
        6,
        together(
            wrap(run_clearance, "_ask", _ask_nobody),
            put(point_of_no_return, "needs_approval", lambda *_: False),
        ),
    ),
    Mutant(
        "nothing is checked with the intent",
        12,
        put(intending, "judge", lambda *_: Judgement("passes")),
    ),
    Mutant("stops are not held with the intent", 12, put(tx.SqlTx, "hold_stops", lambda _: ())),
    Mutant("a cancellation is not folded", 12, wrap(run, "_after", _forget_cancel)),
    Mutant(
        "failed for no reason",
        13,
        together(
            *(wrap(m, "end", _end_silently) for m in (run_machine, run_endings, run_clearance))
        ),
    ),
    Mutant("open attempts are forgotten", 13, put(run_machine, "settle_unknown", lambda *_: None)),
    Mutant("waiting ends the task", 13, wrap(task_rows.TaskRows, "release", _finish_instead)),
    Mutant("asking ends the task", 13, wrap(recording, "_follow_up", _without_task)),
    Mutant("a lease never ends", 13, put(tasks, "LEASE_S", 1e8)),
    Mutant("an end is not told", 13, wrap(recording, "_follow_up", _tell_no_end)),
    Mutant("wake-ups are lost", 13, put(task_rows.TaskRows, "wake", lambda *_: None)),
)
