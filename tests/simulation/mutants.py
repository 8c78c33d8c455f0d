"""Ways to break the product, each of which the simulator must notice; written before the run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from typing_extensions import override

from engine.core import access, events, run, run_machine
from engine.core.actions import Call
from engine.core.incident import Incident, correlation_key
from engine.core.journal import GENESIS
from engine.core.plan import attempt_id
from engine.core.reporting import prepared
from engine.core.trigger import first_run
from engine.errors import FencedError, OutcomeUnknownError, TransientError
from engine.ports import attempting, recording
from engine.ports.stream import Batch
from engine.stages import commands, deciding, intake, runs, tasks
from engine.store import incident_rows, journal_rows, position_rows, task_rows, tx
from tests.simulation import scenario

Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One deliberate mistake and the invariant that it breaks."""

    name: str
    invariant: int
    apply: Patch

    @override
    def __str__(self) -> str:
        return f"{self.invariant}: {self.name}"


def _set(owner: object, name: str, value: object) -> Patch:
    return lambda patch: patch.setattr(owner, name, value)


def _wrap(owner: Any, name: str, around: Callable[..., Any]) -> Patch:
    """`around` is called with the original function first."""
    original = getattr(owner, name)
    return _set(owner, name, lambda *args, **kwargs: around(original, *args, **kwargs))


def _all(*patches: Patch) -> Patch:
    def apply(patch: pytest.MonkeyPatch) -> None:
        for each in patches:
            each(patch)

    return apply


# 1: accounting.


def _advance_anyhow(original: Any, rows: Any, stream: str, partition: int, *_: int) -> None:
    to = _[1]
    original(rows, stream, partition, rows.position(stream, partition), to)


async def _accept_anyhow(original: Any, *args: Any) -> None:
    try:
        await original(*args)
    except TransientError:
        return


def _forget_repeats(original: Any, rows: Any, counts: Mapping[str, int]) -> None:
    original(rows, {name: n for name, n in counts.items() if name != "disposition/repeat"})


def _repeat_as_new(original: Any, alert: Any, current: Any) -> Any:
    notice = original(alert, current)
    return replace(notice, effect="opened") if notice.effect == "repeat" else notice


# 2: live incidents.


def _without_index(original: Any, *args: Any) -> Any:
    database = original(*args)
    database.raw.execute("DROP INDEX one_live_incident")
    return database


_NO_INDEX = _wrap(scenario, "a_database", _without_index)


def _only_open(original: Any, rows: Any, key: str) -> Incident | None:
    found: Incident | None = original(rows, key)
    return found if found is not None and found.status == "open" else None


_order = iter(range(10**9))


def _another_key(original: Any, rule_id: str, group: Mapping[str, str]) -> str:
    return str(original(f"{rule_id}{next(_order)}", group))


# 3: triggers.


def _run_for(of: Callable[[Incident], bool]) -> Callable[..., str]:
    def join(original: Any, work: Any, match: Any, occurrence: Any) -> str:
        key = correlation_key(match.rule.id, match.group)
        before = work.tx.live_incident(key)
        incident_id: str = original(work, match, occurrence)
        if before is not None and of(before):
            story = first_run(before, match, occurrence.alert, work.catalog)
            work.first_runs[incident_id] = story
        return incident_id

    return join


def _run_again_at_end(original: Any, stage: Any, held: Any, seen: Any, *story: Any) -> None:
    again = []
    if any(isinstance(event, events.RunEnded) for event in story) and seen.state.began:
        chain = f"incident/{seen.incident.id}"
        again = [
            event
            for entry in held.entries(chain, kind=events.RunCreated.KIND)
            if (event := entry.event()) is not None
        ]
    original(stage, held, seen, *story, *again)


# 4: intents.


async def _act_first(original: Any, stage: Any, task: Any, seen: Any, command: Any) -> Any:
    step = command.step
    ident = attempt_id(seen.state.run_id, step.phase, step.id, command.number)
    call = Call(prepared(step), ident, step.timeout_s)
    try:
        await stage.actions[step.uses].execute(call)
    except Exception:  # noqa: BLE001 - whatever it meets, the orderly attempt follows
        pass
    return await original(stage, task, seen, command)


async def _act_anyhow(original: Any, stage: Any, task: Any, seen: Any, command: Any) -> Any:
    try:
        return await original(stage, task, seen, command)
    except (TransientError, OutcomeUnknownError):
        step = command.step
        ident = attempt_id(seen.state.run_id, step.phase, step.id, command.number)
        call = Call(prepared(step), ident, step.timeout_s)
        await stage.actions[step.uses].execute(call)
        raise


async def _another_id(original: Any, self: Any, action: Any, call: Any, intent: Any) -> Any:
    return await original(self, action, replace(call, attempt_id="another"), intent)


# 5: repeating.


async def _never_begun(original: Any, *args: Any) -> Any:
    ending = await original(*args)
    if ending.outcome == "unknown":
        return replace(ending, outcome="failed", begun=False)
    return ending


def _unknown_is_undone(_: Any, step: Any, known: Any) -> bool:
    return bool(step.changes and known.outcome == "unknown" and known.attempts < 3)


def _hold_anyhow(original: Any, rows: Any, task: Any, lease_s: float | None) -> None:
    try:
        original(rows, task, lease_s)
    except FencedError:
        return


# 6: approvals.


def _hash_anyhow(original: Any, stage: Any, approval: str, decision: Any, **rest: Any) -> Any:
    async def decide() -> Any:
        row = await stage.store.read(lambda held: held.approval(approval))
        return await original(stage, approval, decision, **{**rest, "plan_hash": row.plan_hash})

    return decide()


def _ask_nobody(original: Any, state: Any, plan: Any, world: Any) -> Any:
    command = original(state, plan, world)
    return None if type(command).__name__ == "Wait" else command


# 8: chains.


def _lose_one(original: Any, rows: Any) -> None:
    if len(rows._unwritten) > 1:
        rows._unwritten.pop(0)
    original(rows)


def _seal_alone(original: Any, new: Any, chain: str, seq: int, _: str, salt: bytes) -> Any:
    return original(new, chain, seq, GENESIS, salt)


def _edit_later(original: Any, *args: Any) -> Any:
    entry = original(*args)
    return replace(entry, body=entry.body.replace(b'"reason":"', b'"reason":"well, '))


# 12: cancelled is final.


def _forget_cancel(original: Any, state: Any, event: Any, at: Any, actor: str) -> Any:
    if isinstance(event, events.RunCancelled):
        return state
    return original(state, event, at, actor)


# 13: no silent end.


def _end_silently(original: Any, state: Any, outcome: Any, reason: str) -> Any:
    return original(state, outcome, "" if outcome == "failed" else reason)


def _finish_instead(original: Any, rows: Any, task: Any, *_: Any, **rest: Any) -> None:
    rows.finish(task)


def _without_task(original: Any, held: Any, incident: Any, event: Any) -> None:
    original(held, incident, event)
    if isinstance(event, events.ApprovalRequested):
        held.cancel_task("run", event.run_id)


MUTANTS: Sequence[Mutant] = (
    Mutant(
        "the position is not compared",
        1,
        _wrap(position_rows.PositionRows, "advance", _advance_anyhow),
    ),
    Mutant(
        "acknowledged before the append", 1, _wrap(intake.StreamIntake, "accept", _accept_anyhow)
    ),
    Mutant(
        "repeats are not counted",
        1,
        _wrap(position_rows.PositionRows, "count", _forget_repeats),
    ),
    Mutant(
        "a record is skipped",
        1,
        _set(Batch, "next_offset", property(lambda batch: batch.records[-1].offset + 2)),
    ),
    Mutant("a repeat opens again", 1, _wrap(deciding, "receive", _repeat_as_new)),
    Mutant(
        "no look for a live incident",
        2,
        _all(_NO_INDEX, _set(incident_rows.IncidentRows, "live", lambda *_: None)),
    ),
    Mutant(
        "a resolved incident counts as closed",
        2,
        _all(_NO_INDEX, _wrap(incident_rows.IncidentRows, "live", _only_open)),
    ),
    Mutant("the key is not derived", 2, _wrap(deciding, "correlation_key", _another_key)),
    Mutant("joining an incident triggers", 3, _wrap(deciding, "_join", _run_for(lambda _: True))),
    Mutant(
        "reopening triggers",
        3,
        _wrap(deciding, "_join", _run_for(lambda incident: incident.status == "resolved")),
    ),
    Mutant(
        "the end of a run triggers again", 3, _wrap(runs.RunStage, "_record", _run_again_at_end)
    ),
    Mutant("act, then intend", 4, _wrap(runs.RunStage, "_attempt", _act_first)),
    Mutant("act although the intent failed", 4, _wrap(runs.RunStage, "_attempt", _act_anyhow)),
    Mutant("act under another id", 4, _wrap(attempting.Attempting, "make", _another_id)),
    Mutant("probe at once", 5, _set(run_machine, "UNKNOWN_GRACE", timedelta(minutes=-5))),
    Mutant("no grace", 5, _set(run_machine, "UNKNOWN_GRACE", timedelta(0))),
    Mutant("a time-out never began", 5, _wrap(attempting.Attempting, "_act", _never_begun)),
    Mutant("unknown is repeated", 5, _wrap(run_machine, "_may_repeat", _unknown_is_undone)),
    Mutant("begun however late", 5, _set(attempting, "CLEAN_UP", timedelta(days=-1))),
    Mutant("open attempts are forgotten", 5, _set(run_machine, "_settle_unknown", lambda *_: None)),
    Mutant("the lease is not compared", 5, _wrap(task_rows.TaskRows, "hold", _hold_anyhow)),
    Mutant(
        "no mode needs approval",
        6,
        _all(
            _set(run_machine, "needs_approval", lambda *_: False),
            _set(runs, "needs_approval", lambda *_: False),
        ),
    ),
    Mutant("anybody may approve", 6, _set(commands, "may_decide", lambda *_: access.Verdict(True))),
    Mutant("any plan's hash will do", 6, _wrap(commands.CommandStage, "decide", _hash_anyhow)),
    Mutant(
        "an unanswered request is enough",
        6,
        _all(
            _wrap(run_machine, "_ask", _ask_nobody),
            _set(runs, "needs_approval", lambda *_: False),
        ),
    ),
    Mutant("an entry is lost", 8, _wrap(journal_rows.JournalRows, "flush", _lose_one)),
    Mutant("entries are not linked", 8, _wrap(journal_rows, "seal", _seal_alone)),
    Mutant("a body is edited", 8, _wrap(journal_rows, "seal", _edit_later)),
    Mutant("nothing is checked with the intent", 12, _set(runs, "_may_change", lambda *_: True)),
    Mutant("stops are not held with the intent", 12, _set(tx.SqlTx, "hold_stops", lambda _: ())),
    Mutant("a cancellation is not folded", 12, _wrap(run, "_after", _forget_cancel)),
    Mutant("failed for no reason", 13, _wrap(run_machine, "_end", _end_silently)),
    Mutant("waiting ends the task", 13, _wrap(task_rows.TaskRows, "release", _finish_instead)),
    Mutant("asking ends the task", 13, _wrap(recording, "_follow_up", _without_task)),
    Mutant("a lease never ends", 13, _set(tasks, "LEASE_S", 1e8)),
    Mutant("wake-ups are lost", 13, _set(task_rows.TaskRows, "wake", lambda *_: None)),
)

# Which of them nothing notices, and why.
SURVIVORS: Mapping[str, str] = {
    "wake-ups are lost": "every task has its own due time, so a run goes on late and not wrongly",
}
