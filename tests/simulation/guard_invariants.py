"""Invariant 9, read from the journal alone: what runs hold, and what their guards allow."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.core import events
from engine.core.plan import Plan
from tests.simulation.written import BUDGETS, CALLED, COOLDOWNS


@dataclass
class _Holder:
    playbook: str
    targets: frozenset[str]
    taken_at: datetime | None = None
    ended_at: datetime | None = None
    kept: bool = False

    @property
    def holds(self) -> bool:
        return self.taken_at is not None and (self.ended_at is None or self.kept)


@dataclass
class GuardInvariants:
    """`broken` is told what doesn't hold."""

    broken: Callable[[int, str], None]
    runs: dict[str, _Holder] = field(default_factory=dict)
    undone: dict[str, str] = field(default_factory=dict)

    def read(self, event: events.Event, at: datetime) -> None:
        """Take one entry in."""
        match event:
            case events.RunCreated():
                self.undone[event.run_id] = event.undoes
            case events.RunPlanned():
                plan = Plan.model_validate_json(event.plan)
                targets = frozenset(t for s in plan.steps if s.changes for t in s.targets)
                self.runs[event.run_id] = _Holder(plan.playbook_id, targets)
            case events.AttemptIntended():
                self._intended(event, at)
            case events.RunEnded() if event.run_id in self.runs:
                run = self.runs[event.run_id]
                if not event.changed:
                    run.taken_at = None
                run.ended_at, run.kept = at, event.keeps_locks
            case events.LockReleased():
                self.runs[event.run_id].kept = False
                self.runs[event.run_id].ended_at = at
            case _:
                pass

    def _intended(self, event: events.AttemptIntended, at: datetime) -> None:
        run = self.runs[event.run_id]
        if not set(event.targets) <= run.targets:
            self.broken(9, f"{event.step_id} changes {event.targets}, which the plan doesn't lock")
        if run.taken_at is not None:
            return
        run.taken_at = at
        if undone := self.undone[event.run_id]:
            # It takes over what that one kept.
            self.runs[undone].kept = False
        others = [each for other, each in self.runs.items() if other != event.run_id]
        if any(other.holds and other.targets & run.targets for other in others):
            text = f"{event.run_id} changes {sorted(run.targets)}, which another run holds"
            self.broken(9, text)
        if undone:
            return
        for playbook in (run.playbook, *CALLED.get(run.playbook, ())):
            for problem in _problems(playbook, run, others, at):
                self.broken(9, problem)


def _problems(
    playbook: str, run: _Holder, others: Sequence[_Holder], at: datetime
) -> Iterator[str]:
    """What the guards of its playbook, or of one that it calls, say of a run that begins."""
    same = [each for each in others if each.playbook == playbook and each.taken_at]
    if (rest_s := COOLDOWNS.get(playbook)) is not None:
        since = at - timedelta(seconds=rest_s)
        for each in same:
            ended = each.ended_at
            if each.targets & run.targets and (ended is None or ended > since):
                yield f"{playbook} on {sorted(run.targets)} has not cooled down"
    if (budget := BUDGETS.get(playbook)) is not None:
        since = at - timedelta(seconds=budget[1])
        begun = sum(each.taken_at > since for each in same if each.taken_at)
        if begun >= budget[0]:
            yield f"{playbook} begins for the {begun + 1}. time within {budget[1]:g} s"
