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
from engine.core.run_clearance import before_first_change
from engine.core.run_commands import Busy, Command, Ended, Investigate, MakePlan, Record, end
from engine.core.run_dry import is_dry, look_only
from engine.core.run_endings import cancel, roll_back, verify
from engine.core.run_lanes import Walk
from engine.core.run_questions import ask
from engine.core.run_steps import settle_unknown
from engine.core.run_world import World
from engine.core.severity import Mode


def next_commands(state: RunState, world: World) -> tuple[Command, ...]:
    """What to do now, at least one thing: several at once only in lanes of the plan's steps."""
    command = _before_the_plan(state, world)
    if command is not None:
        return (command,)
    if state.plan is None:
        return (_prepare(state, world),)
    return _execute(state, state.plan, world)


def _before_the_plan(state: RunState, world: World) -> Command | None:
    """What stands before everything that the playbook says."""
    if state.outcome is not None:
        return Ended()
    if world.stopped and not state.is_stopped and state.verified is not True:
        # Journaled at once: what was stopped never goes on, however soon the stop is lifted.
        return Record(events.RunCancelled(run_id=state.run_id, reason=world.stopped))
    uncertain = settle_unknown(state, world)
    if uncertain is not None:
        return uncertain
    if state.cancelled_by and state.verified is not True:
        return Busy() if world.under_way else cancel(state, world)
    if not world.incident_open and not state.began and not state.undoes:
        return end(state, "skipped", "the incident cleared before anything was done")
    return None


def _prepare(state: RunState, world: World) -> Command:
    dry = is_dry(state, world)
    if (state.mode is Mode.OBSERVE and not dry) or state.undoes:
        return MakePlan()
    known = known_to(state, world.incident, world.inventory)
    for placed in investigations(world.playbook, known):
        if placed.step.ask is not None:
            # Nobody is asked for nothing: what follows from the answer is a hole in the plan.
            if not dry and (waiting := ask(state, placed, placed.step.ask, world)) is not None:
                return waiting
        elif placed.id not in state.evidence:
            return Investigate(replace(placed.step, id=placed.id), placed.place)
    return MakePlan()


def _execute(state: RunState, plan: Plan, world: World) -> tuple[Command, ...]:
    if is_dry(state, world):
        return (look_only(state, plan, world),)
    if state.mode is Mode.OBSERVE:
        return (end(state, "skipped", "observe: this is what would have run"),)
    walk = Walk(state, plan, world)
    commands = walk.next(plan.of("steps"))
    failed = walk.failures.ending(state)
    # What failed before it began waits for no guard: it would hold its targets meanwhile.
    is_over = not commands and (failed is not None or bool(state.late))
    if not state.began and not is_over:
        blocked = before_first_change(state, plan, world)
        if blocked is not None:
            return (blocked,)
    if commands:
        return commands
    if is_over:
        return (roll_back(state, plan, world, failed),)
    if not state.began:
        return (end(state, "skipped", "no step was needed"),)
    return (verify(state, plan, world, walk.failures),)
