"""What a run does next: a pure decision over its folded state, obeyed by a thin worker.

    investigate → plan → look, confirm, guards, ask → steps → verify → (roll back) → end

Nothing here looks at a clock or a database; the point of no return checks again, in the intent's
own transaction, what may have changed since.
"""

from dataclasses import replace

from engine.core import events
from engine.core.evaluating import known_to
from engine.core.expansion import investigations
from engine.core.plan import Plan
from engine.core.run import RunState
from engine.core.run_clearance import before_batch, before_first_change
from engine.core.run_commands import Command, Ended, Investigate, MakePlan, Record, Wait, end
from engine.core.run_endings import cancel, roll_back, verify
from engine.core.run_loops import Failures
from engine.core.run_questions import ask
from engine.core.run_steps import advance, deadline, deadline_words, settle_unknown
from engine.core.run_world import World
from engine.core.severity import Mode


def next_command(state: RunState, world: World) -> Command:
    """The one thing to do now."""
    if state.outcome is not None:
        return Ended()
    if world.stopped and not state.is_stopped and state.verified is not True:
        # Journaled at once: what was stopped never goes on, however soon the stop is lifted.
        return Record(events.RunCancelled(run_id=state.run_id, reason=world.stopped))
    uncertain = settle_unknown(state, world)
    if uncertain is not None:
        return uncertain
    if state.cancelled_by and state.verified is not True:
        return cancel(state, world)
    if not world.incident_open and not state.began and not state.undoes:
        return end(state, "skipped", "the incident cleared before anything was done")
    if state.plan is None:
        return _prepare(state, world)
    return _execute(state, state.plan, world)


def _prepare(state: RunState, world: World) -> Command:
    if state.mode is Mode.OBSERVE or state.undoes:
        return MakePlan()
    known = known_to(state, world.incident, world.inventory)
    for placed in investigations(world.playbook, known):
        if placed.step.ask is not None:
            if (waiting := ask(state, placed, placed.step.ask, world)) is not None:
                return waiting
        elif placed.id not in state.evidence:
            return Investigate(replace(placed.step, id=placed.id), placed.place)
    return MakePlan()


def _execute(state: RunState, plan: Plan, world: World) -> Command:
    if state.mode is Mode.OBSERVE:
        return end(state, "skipped", "observe: this is what would have run")
    if not state.began:
        blocked = before_first_change(state, plan, world)
        if blocked is not None:
            return blocked
    command, failures = _step_by_step(state, plan, world)
    if command is not None:
        return command
    failed = failures.ending(state)
    if failed is not None or state.late:
        return roll_back(state, plan, world, failed)
    if not state.began:
        return end(state, "skipped", "no step was needed")
    return verify(state, plan, world, failures)


def _step_by_step(state: RunState, plan: Plan, world: World) -> tuple[Command | None, Failures]:
    """What the first step that isn't over needs, None when all are; and what failed before."""
    failures = Failures()
    for step in plan.of("steps"):
        is_over = failures.failed is not None or bool(state.late)
        # A part of the way back that fails keeps no other from being gone.
        goes_on = state.undoes or world.playbook.step(step.origin).runs_after_failure
        if is_over and not goes_on:
            continue
        if (skipped := failures.passes_over(state, step)) is not None:
            return skipped, failures
        command, broken = before_batch(state, plan, step, world), None
        if command is None:
            command, broken = advance(state, plan, step, world)
        if command is not None:
            return command if is_over else _in_time(state, plan, world, command), failures
        if broken is not None:
            failures.add(broken)
    return None, failures


def _in_time(state: RunState, plan: Plan, world: World, command: Command) -> Command:
    """The command, unless the run's deadline comes first."""
    due = deadline(state, plan)
    if due is None:
        return command
    if world.now >= due:
        return Record(events.DeadlinePassed(run_id=state.run_id, reason=deadline_words(plan)))
    if isinstance(command, Wait) and command.until > due:
        return Wait(due, command.reason)
    return command
