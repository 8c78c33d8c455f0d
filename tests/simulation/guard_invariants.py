"""Invariant 9, read from the journal alone: what runs hold, and what their guards allow."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.core import events
from engine.core.inventory import Inventory
from engine.core.plan import Plan
from engine.core.policy import Policy
from tests.doubles.virtual_time import START
from tests.simulation.firing import Firing
from tests.simulation.written_guarded import CALLED, FREEZE_S, NOTHING, PROMISED, Promised

_FAILED = ("failed", "partial", "unknown")


@dataclass
class _Holder:
    """`begun` are its steps, `lost` those of them that failed."""

    plan: Plan
    undoes: str
    taken_at: datetime | None = None
    ended_at: datetime | None = None
    kept: bool = False
    outcome: str = ""
    excused: bool = False
    begun: set[str] = field(default_factory=set)
    lost: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def targets(self) -> frozenset[str]:
        return frozenset(t for s in self.plan.steps if s.changes for t in s.targets)

    @property
    def playbook(self) -> str:
        return self.plan.playbook_id

    @property
    def holds(self) -> bool:
        return self.taken_at is not None and (self.ended_at is None or self.kept)

    @property
    def promised(self) -> Sequence[tuple[str, Promised]]:
        """What its own guards allow, and those of the playbooks that it calls."""
        of = (self.playbook, *CALLED.get(self.playbook, ()))
        return [(each, PROMISED.get(each, NOTHING)) for each in of]


@dataclass
class GuardInvariants:
    """`broken` is told what doesn't hold."""

    broken: Callable[[int, str], None]
    inventory: Inventory
    policy: Policy
    runs: dict[str, _Holder] = field(default_factory=dict)
    undone: dict[str, str] = field(default_factory=dict)
    firing: Firing = field(default_factory=Firing)

    def read(self, event: events.Event, chain: str, at: datetime) -> None:
        """Take one entry in."""
        self.firing.read(event, chain)
        match event:
            case events.RunCreated():
                self.undone[event.run_id] = event.undoes
            case events.RunPlanned():
                plan = Plan.model_validate_json(event.plan)
                self.runs[event.run_id] = _Holder(plan, self.undone[event.run_id])
            case events.AttemptIntended():
                self._intended(event, at)
            case events.AttemptEnded() if event.outcome == "failed" and event.phase == "steps":
                run = self.runs[event.run_id]
                run.lost[event.step_id] = run.plan.step("steps", event.step_id).targets
            case events.RunEnded() if event.run_id in self.runs:
                run = self.runs[event.run_id]
                if not event.changed:
                    run.taken_at = None
                run.ended_at, run.kept, run.outcome = at, event.keeps_locks, event.outcome
            case events.LockReleased():
                self.runs[event.run_id].kept = False
                self.runs[event.run_id].ended_at = at
            case events.BreakerTried():
                for run_id in event.run_ids:
                    self.runs[run_id].excused = True
            case _:
                pass

    def _intended(self, event: events.AttemptIntended, at: datetime) -> None:
        run = self.runs[event.run_id]
        if not set(event.targets) <= run.targets:
            self.broken(9, f"{event.step_id} changes {event.targets}, which the plan doesn't lock")
        others = [each for other, each in self.runs.items() if other != event.run_id]
        if event.phase == "steps" and not run.undoes and event.step_id not in run.begun:
            for problem in self._spread(run, event, others):
                self.broken(9, problem)
        run.begun.add(event.step_id)
        if run.taken_at is not None:
            return
        run.taken_at = at
        if run.undoes:
            # It takes over what that one kept.
            self.runs[run.undoes].kept = False
        if any(other.holds and other.targets & run.targets for other in others):
            text = f"{event.run_id} changes {sorted(run.targets)}, which another run holds"
            self.broken(9, text)
        if not run.undoes:
            for problem in self._begins(run, others, at):
                self.broken(9, problem)

    def _begins(self, run: _Holder, others: Sequence[_Holder], at: datetime) -> Iterator[str]:
        for playbook, promised in run.promised:
            for problem in _counted(playbook, promised, run, others, at):
                yield f"{playbook} {problem}"
            for problem in self._held(playbook, promised, run, others):
                yield f"{playbook} {problem}"
        for problem in self._by_policy(run, others, at):
            yield f"{run.playbook} {problem}"

    def _services(self, targets: Set[str]) -> frozenset[str]:
        return frozenset(self.inventory.service_of(each) for each in targets)

    def _held(
        self, playbook: str, promised: Promised, run: _Holder, others: Sequence[_Holder]
    ) -> Iterator[str]:
        """What those that are at work now keep it from."""
        held = [each for each in others if each.holds]
        same = [each for each in held if each.playbook == playbook]
        if promised.concurrency is not None and len(same) >= promised.concurrency:
            yield f"runs {len(same) + 1} times at once"
        services = self._services(run.targets)
        if promised.locks_services and any(self._services(e.targets) & services for e in held):
            yield f"changes {sorted(services)}, which another run holds"
        if promised.requires and self.firing.is_ill(promised.requires):
            yield f"begins although {promised.requires} is not healthy"

    def _by_policy(self, run: _Holder, others: Sequence[_Holder], at: datetime) -> Iterator[str]:
        if self.policy.freezes and at < START + timedelta(seconds=FREEZE_S):
            yield "begins in the freeze"
        if (changes := self.policy.limits.changes) is None:
            return
        since = at - timedelta(minutes=float(changes.within.removesuffix("m")))
        for service in self._services(run.targets):
            begun = [e for e in others if service in self._services(e.targets) and e.taken_at]
            lately = sum(each.taken_at > since for each in begun if each.taken_at)
            if lately >= changes.max:
                yield f"is the {lately + 1}. that begins on {service} within {changes.within}"

    def _spread(
        self, run: _Holder, event: events.AttemptIntended, others: Sequence[_Holder]
    ) -> Iterator[str]:
        """What each batch, or a plan without one, may make unavailable beside what is."""
        step = run.plan.step("steps", event.step_id)
        is_batch = bool(step.place and step.place.item)
        if run.begun and not is_batch:
            return
        touched = frozenset(event.targets) if is_batch else run.targets
        touched |= {target for lost in run.lost.values() for target in lost}
        down = self.firing.targets | {t for e in others if e.holds for t in e.targets}
        for group, most in self._radii(run).items():
            members = {each for each in self.inventory.targets if self._is_of(group, each)}
            gone = (touched | down) & members
            if touched & members and len(gone) > most:
                yield f"{run.playbook} leaves {sorted(gone)} of {group or 'all'}, {most} may be"

    def _radii(self, run: _Holder) -> Mapping[str, int]:
        found = dict(each.radius for _, each in run.promised if each.radius is not None)
        if (share := self.policy.limits.fleet_unavailable) is not None:
            percent = int(str(share).removesuffix("%"))
            found[""] = -(-len(self.inventory.targets) * percent // 100)
        return found

    def _is_of(self, group: str, target: str) -> bool:
        return group in ("", self.inventory.service_of(target))


def _counted(
    playbook: str, promised: Promised, run: _Holder, others: Sequence[_Holder], at: datetime
) -> Iterator[str]:
    """What the runs before it keep it from."""
    same = [each for each in others if each.playbook == playbook and each.taken_at]
    if promised.cooldown_s is not None:
        since = at - timedelta(seconds=promised.cooldown_s)
        for each in same:
            ended = each.ended_at
            if each.targets & run.targets and (ended is None or ended > since):
                yield f"on {sorted(run.targets)} has not cooled down"
    if promised.budget is not None:
        runs, within_s = promised.budget
        since = at - timedelta(seconds=within_s)
        begun = sum(each.taken_at > since for each in same if each.taken_at)
        if begun >= runs:
            yield f"begins for the {begun + 1}. time within {within_s:g} s"
    if promised.failures is not None:
        failed, is_trial = _failed_in_a_row(same)
        if failed >= (1 if is_trial else promised.failures):
            yield f"begins after {failed} failures"
        if is_trial and any(each.holds and not each.undoes for each in same):
            yield "is tried by two at once"


def _failed_in_a_row(same: Sequence[_Holder]) -> tuple[int, bool]:
    """(how many failed since one that helped, whether one may be tried since a person said so)."""
    ended = [each for each in same if each.ended_at and not each.holds and not each.undoes]
    failed = 0
    for each in sorted(ended, key=lambda each: each.ended_at or START, reverse=True):
        if each.excused or each.outcome == "succeeded":
            return failed, each.excused
        failed += each.outcome in _FAILED
    return failed, False
