"""Invariants 6, 9 and 15, read from the journal alone: when a person has to be asked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.core import events
from engine.core.incident import BY_HAND
from engine.core.inventory import Inventory
from engine.core.journal import Entry
from engine.core.plan import Plan
from engine.core.storm_brake import CheckedBrake
from tests.simulation.written_guarded import NOTHING, PROMISED

# For so long somebody's change may be what this one is about, or be spoilt by it.
NEAR = timedelta(minutes=30)


@dataclass
class _Run:
    """`until` is None while it holds its targets; `left_by` is who let go of a stopped one's."""

    created: events.RunCreated
    chain: str
    plan: Plan | None = None
    mode: str = ""
    approved: bool = False
    since: datetime | None = None
    until: datetime | None = None
    kept: bool = False
    by_person: bool = False
    asked: dict[str, events.QuestionAsked] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)

    @property
    def targets(self) -> frozenset[str]:
        assert self.plan is not None
        return frozenset(t for s in self.plan.steps if s.changes for t in s.targets)


@dataclass
class AskingInvariants:
    """`broken` is told what doesn't hold; `deciders` are those who may answer."""

    broken: Callable[[int, str], None]
    deciders: frozenset[str]
    inventory: Inventory
    brake: CheckedBrake | None
    runs: dict[str, _Run] = field(default_factory=dict)
    opened: dict[str, tuple[events.IncidentOpened, datetime]] = field(default_factory=dict)
    struck: dict[str, datetime] = field(default_factory=dict)
    braked: bool = False
    raised_by: str = ""

    def read(self, event: events.Event, entry: Entry) -> None:  # noqa: C901 - a table
        """Take one entry in."""
        match event:
            case events.IncidentOpened():
                at = events.moment(event.decided_at) if event.decided_at else entry.at
                self.opened[entry.chain] = event, at
                if event.service in self.inventory.services:
                    self.struck[event.service] = at
            case events.StormBraked():
                self.braked = True
            case events.BrakeLifted():
                self.braked = False
                self.struck.clear()
            case events.ModesRaised():
                self.raised_by = entry.actor
            case events.ModesAccepted():
                if event.raised and entry.actor == self.raised_by:
                    self.broken(6, f"{entry.actor} confirmed what {entry.actor} had raised")
                self.raised_by = ""
            case events.RunCreated():
                self.runs[event.run_id] = _Run(event, entry.chain)
                if self.raised_by and event.mode == "auto":
                    self.broken(6, f"run {event.run_id} acts by a mode that nobody confirmed")
            case events.QuestionAsked() | events.QuestionAnswered() | events.RunPlanned():
                for problem in self._questions(self.runs[event.run_id], event, entry):
                    self.broken(15, f"run {event.run_id} {problem}")
            case events.ApprovalDecided():
                self.runs[event.run_id].approved = event.decision == "approved"
            case events.AttemptIntended():
                self._intended(self.runs[event.run_id], entry.at)
            case events.RunEnded():
                run = self.runs[event.run_id]
                run.until, run.kept = entry.at, event.keeps_locks
                if not event.changed:
                    run.since = None
            case events.LockReleased():
                run = self.runs[event.run_id]
                run.until, run.kept, run.by_person = entry.at, False, True
            case _:
                pass

    def after_commit(self) -> None:
        """Check that so many services within so short a time brake."""
        if self.brake is None or self.braked:
            return
        times = sorted(self.struck.values())[-self.brake.at_least(len(self.inventory.services)) :]
        enough = len(times) == self.brake.at_least(len(self.inventory.services))
        if enough and times[-1] - times[0] <= self.brake.within:
            self.broken(9, f"no brake, and incidents opened on {', '.join(self.struck)}")

    def _questions(
        self,
        run: _Run,
        event: events.QuestionAsked | events.QuestionAnswered | events.RunPlanned,
        entry: Entry,
    ) -> Iterator[str]:
        match event:
            case events.QuestionAsked():
                if event.step_id in run.asked:
                    yield "asks a second time"
                run.asked[event.step_id] = event
            case events.QuestionAnswered():
                question = run.asked[event.step_id]
                late = entry.at >= events.moment(question.expires_at)
                if event.step_id in run.answers:
                    yield "is answered for the second time"
                if event.answer and (late or entry.actor not in self.deciders):
                    yield f"takes the answer of {entry.actor}, late or not asked"
                if event.answer and event.answer not in question.choices:
                    yield f"takes {event.answer!r}, which is no choice"
                if not event.answer and not late:
                    yield "gives up before its time"
                run.answers[event.step_id] = event.answer
            case events.RunPlanned():
                run.plan = Plan.model_validate_json(event.plan)
                run.mode = event.mode
                if not run.created.undoes:
                    yield from _plan_by_answers(run)

    def _intended(self, run: _Run, at: datetime) -> None:
        if run.since is not None:
            return
        run.since = at
        if "" in run.answers.values():
            self.broken(15, f"run {run.created.run_id} acts, and nobody answered it")
        if run.created.undoes:
            undone = self.runs[run.created.undoes]
            undone.until, undone.kept = undone.until, False
        if run.approved or run.mode != "auto":
            return
        if self.braked:
            self.broken(9, f"run {run.created.run_id} acts by itself under the brake")
        if not run.created.undoes:
            for problem in (*self._nearby(run, at), *self._again(run, at)):
                self.broken(9, f"run {run.created.run_id} asks nobody, and {problem}")

    def _nearby(self, run: _Run, at: datetime) -> Iterator[str]:
        opened, opened_at = self.opened[run.chain]
        for each in self.runs.values():
            if each.chain == run.chain or each.since is None or each.plan is None:
                continue
            over = each.until is not None and not each.kept and each.until <= at - NEAR
            by, their = each.created.playbook_id, self.opened[each.chain][0]
            other = by != run.created.playbook_id or their.rule_id == BY_HAND or each.by_person
            ended = each.until is not None and not each.kept
            if other and ended and not over and each.targets & run.targets:
                yield f"{by} changed one of its targets lately"
            again = their.rule_id == opened.rule_id
            near = each.targets if not again else each.targets - run.targets
            reached = self._services(near) & self._services(run.targets)
            if each.since < opened_at and not over and (near & run.targets or reached):
                yield f"{by} may have caused it"

    def _again(self, run: _Run, at: datetime) -> Iterator[str]:
        """Whether the same remedy for the same target doesn't last."""
        by = run.created.playbook_id
        if (recurrence := PROMISED.get(by, NOTHING).recurrence) is None:
            return
        times, since = recurrence[0], at - timedelta(seconds=recurrence[1])
        for target in run.targets:
            before = [
                each
                for each in self.runs.values()
                if each is not run and each.created.playbook_id == by and each.plan is not None
                if target in each.targets and each.since is not None and each.since > since
            ]
            if len(before) >= times - 1:
                yield f"{by} on {target} is there for the {len(before) + 1}. time"

    def _services(self, targets: frozenset[str]) -> set[str]:
        return {self.inventory.service_of(each) for each in targets}


def _plan_by_answers(run: _Run) -> Iterator[str]:
    """The plan is made of what was answered."""
    assert run.plan is not None
    for question in run.asked:
        answer = run.answers.get(question, "")
        done = {each.payload["what"] for each in run.plan.of("steps") if each.id == "do"}
        if done != {answer}:
            yield f"plans {done}, and {answer!r} was answered"
