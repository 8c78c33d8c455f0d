"""The steps of a plan as a run goes through them: in order, and the lanes of a group at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from engine.core import events
from engine.core.plan import Plan, PlannedStep
from engine.core.run import RunState
from engine.core.run_clearance import before_batch
from engine.core.run_commands import Busy, Command, Record, Wait, at_once
from engine.core.run_loops import Failures
from engine.core.run_steps import advance, deadline, deadline_words
from engine.core.run_world import World


@dataclass(slots=True)
class Walk:
    """One way through a plan's steps as of a state; `failures` are what it came upon."""

    state: RunState
    plan: Plan
    world: World
    failures: Failures = field(default_factory=Failures)

    def next(self, steps: Iterable[PlannedStep], depth: int = 0) -> tuple[Command, ...]:
        """What the first steps that aren't over need, one a lane at most; () when all are over."""
        for group, members in groupby(steps, key=lambda step: _lane(step, depth)[0]):
            if group:
                lanes = [list(lane) for _, lane in groupby(members, lambda s: _lane(s, depth)[1])]
                found = self._side_by_side(lanes, depth + 1)
            else:
                found = self._in_order(members)
            if found:
                return found
        return ()

    def _in_order(self, steps: Iterable[PlannedStep]) -> tuple[Command, ...]:
        for step in steps:
            if (command := self._of(step)) is not None:
                return (command,)
        return ()

    def _side_by_side(
        self, lanes: Sequence[Sequence[PlannedStep]], depth: int
    ) -> tuple[Command, ...]:
        is_over = self._is_over
        found = [command for lane in lanes for command in self.next(lane, depth)]
        if self._is_over and not is_over:
            # A lane failed: the ones in front of it begin nothing more either.
            found = [command for lane in lanes for command in self.next(lane, depth)]
        return at_once(found)

    @property
    def _is_over(self) -> bool:
        return self.failures.failed is not None or bool(self.state.late)

    def _of(self, step: PlannedStep) -> Command | None:
        """What a step needs, None when it is over or never begun."""
        state, plan, world = self.state, self.plan, self.world
        if (step.phase, step.id) in world.under_way:
            return Busy()
        is_over = self._is_over
        # A part of the way back that fails keeps no other from being gone.
        if is_over and not (state.undoes or world.playbook.step(step.origin).runs_after_failure):
            return None
        if (skipped := self.failures.passes_over(state, step)) is not None:
            return skipped
        command = before_batch(state, plan, step, world)
        if command is None:
            command, broken = advance(state, plan, step, world)
            if broken is not None:
                self.failures.add(broken)
        return command if command is None or is_over else self._in_time(command)

    def _in_time(self, command: Command) -> Command:
        """The command, unless the run's deadline comes first."""
        due = deadline(self.state, self.plan)
        if due is None:
            return command
        if self.world.now >= due:
            reason = deadline_words(self.plan)
            return Record(events.DeadlinePassed(run_id=self.state.run_id, reason=reason))
        if isinstance(command, Wait) and command.until > due:
            return Wait(due, command.reason)
        return command


def _lane(step: PlannedStep, depth: int) -> tuple[str, str]:
    return step.lanes[depth] if depth < len(step.lanes) else ("", "")
