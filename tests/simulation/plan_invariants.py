"""Invariant 15, read from the journal alone: a run goes as its playbook says, and back."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.core import events
from engine.core.journal import ENGINE
from engine.core.plan import Plan, PlannedStep
from tests.simulation.written import BATCHES, BRANCHES, STOP_AFTER

_OVER = ("succeeded", "failed", "unknown", "skipped")


@dataclass
class _Step:
    """What the journal tells of one step: of each attempt when, and whether it may have happened.

    `end` is "" until something is known, `open` while an attempt or a wait is. `unseen` are the
    attempts whose end nobody saw: they use up no retries.
    """

    unseen: set[int] = field(default_factory=set)
    attempts: list[tuple[datetime, bool]] = field(default_factory=list)
    end: str = ""

    @property
    def is_under_way(self) -> bool:
        return self.end == "open" and bool(self.attempts)

    @property
    def may_have_happened(self) -> bool:
        return any(may for _, may in self.attempts)

    @property
    def failed(self) -> bool:
        return self.end in ("failed", "unknown")

    def did_nothing(self) -> None:
        """Its latest attempt surely did not."""
        self.attempts[-1] = (self.attempts[-1][0], False)

    def comes_again(self, step: PlannedStep) -> bool:
        """Whether it failed, and is attempted once more."""
        did_nothing = self.attempts and not self.attempts[-1][1]
        safe = did_nothing or (self.end == "unknown" and step.repeat in ("keyed", "harmless"))
        return bool(safe) and len(self.attempts) - min(len(self.unseen), 2) < step.retry_attempts


@dataclass
class _Run:
    """`begun` are its steps in the order of their first intents; `waits` is when each is over.

    `halfway`: it was cancelled before it went back.
    """

    undoes: str
    plan: Plan | None = None
    steps: defaultdict[tuple[str, str], _Step] = field(default_factory=lambda: defaultdict(_Step))
    begun: list[tuple[str, str]] = field(default_factory=list)
    waits: dict[str, datetime] = field(default_factory=dict)
    late: bool = False
    cancelled_by: str = ""
    halfway: bool = False
    verified: bool | None = None

    @property
    def planned(self) -> Plan:
        assert self.plan is not None
        return self.plan

    @property
    def began_at(self) -> datetime | None:
        """Its first attempt that may have happened."""
        return min((at for s in self.steps.values() for at, may in s.attempts if may), default=None)

    @property
    def failed(self) -> list[PlannedStep]:
        """Its steps that failed, as far as is known, and have to succeed."""
        required = [(s, self.steps["steps", s.id]) for s in self.planned.of("steps") if s.required]
        return [s for s, known in required if known.failed and not known.comes_again(s)]

    @property
    def is_over(self) -> bool:
        """Whether nothing ordinary may begin any more: all but a loop's failures end a run."""
        return self.late or self.has_lost_all({_item(step.id) for step in self.failed})

    def has_lost_all(self, lost: Set[str]) -> bool:
        """Whether more than its loops may lose failed."""
        return "" in lost or len(lost) >= STOP_AFTER.get(self.planned.playbook_id, 1)

    @property
    def batches(self) -> Sequence[Sequence[str]]:
        return BATCHES.get(self.planned.playbook_id, ())

    def may_have_happened(self) -> list[PlannedStep]:
        return [s for s in self.planned.of("steps") if self.steps["steps", s.id].may_have_happened]


@dataclass
class PlanInvariants:
    """`broken` is told what doesn't hold; `undone` are the parts of a run that are taken back."""

    broken: Callable[[int, str], None]
    runs: dict[str, _Run] = field(default_factory=dict)
    undone: set[tuple[str, str]] = field(default_factory=set)

    def read(self, event: events.Event, at: datetime, actor: str) -> None:  # noqa: C901 - a table
        """Take one entry in."""
        match event:
            case events.RunCreated():
                self.runs[event.run_id] = _Run(event.undoes)
            case events.RunPlanned():
                self.runs[event.run_id].plan = Plan.model_validate_json(event.plan)
            case events.AttemptIntended():
                self._intended(event, at)
            case events.AttemptEnded():
                if event.outcome == "unknown":
                    self._step(event).unseen.add(len(self._step(event).attempts))
                self._ended(event, "failed" if event.outcome == "cancelled" else event.outcome)
                if not event.begun:
                    self._step(event).did_nothing()
            case events.AttemptProbed():
                ends = {"done": "succeeded", "not_done": "failed"}
                if self._step(event).end == "open":
                    self._step(event).unseen.add(len(self._step(event).attempts))
                self._ended(event, ends.get(event.answer, "unknown"))
                if event.answer == "not_done":
                    self._step(event).did_nothing()
            case events.StepObserved() if event.phase == "steps":
                self._observed(event, at)
            case events.StepSkipped():
                self._step(event).end = "skipped"
            case events.StepWaiting():
                self._waits(event)
            case events.DeadlinePassed():
                self._late(self.runs[event.run_id], at)
            case events.VerificationStarted():
                steps = self.runs[event.run_id].steps
                if any(step.is_under_way for step in steps.values()):
                    self.broken(15, f"run {event.run_id} is verified while it is under way")
            case events.VerificationEnded():
                self.runs[event.run_id].verified = event.holds
            case events.RunCancelled():
                run = self.runs[event.run_id]
                # A stop is the last word; who cancels once more says nothing new.
                run.cancelled_by = actor if actor == ENGINE else run.cancelled_by or actor
                run.halfway = all(phase != "rollback" for phase, _ in run.begun)
            case events.RunEnded() if self.runs[event.run_id].plan is not None:
                for problem in _at_the_end(self.runs[event.run_id], event):
                    self.broken(15, f"run {event.run_id}: {problem}")
            case _:
                pass

    def _step(
        self,
        event: events.AttemptEnded | events.AttemptProbed | events.StepSkipped | events.StepWaiting,
    ) -> _Step:
        return self.runs[event.run_id].steps[event.phase, event.step_id]

    def _ended(self, event: events.AttemptEnded | events.AttemptProbed, end: str) -> None:
        self._step(event).end = end
        undoes = self.runs[event.run_id].undoes
        if end == "succeeded" and (undoes or event.phase == "rollback"):
            self.undone.add((undoes or event.run_id, event.step_id))

    def _observed(self, event: events.StepObserved, at: datetime) -> None:
        run = self.runs[event.run_id]
        until = run.waits.get(event.step_id)
        if until is not None and at < until:
            self.broken(15, f"{event.step_id} of {event.run_id} did not wait for its time")
        end = "failed" if event.holds is False else event.outcome
        run.steps["steps", event.step_id].end = end

    def _waits(self, event: events.StepWaiting) -> None:
        waits = self.runs[event.run_id].waits
        if event.step_id in waits:
            self.broken(15, f"{event.step_id} of {event.run_id} begins to wait once more")
        waits[event.step_id] = events.moment(event.until)
        self._step(event).end = "open"

    def _late(self, run: _Run, at: datetime) -> None:
        due = _deadline(run)
        if run.late or due is None or at < due:
            self.broken(15, f"the deadline of {run.planned.run_id} did not pass then")
        run.late = True

    def _intended(self, event: events.AttemptIntended, at: datetime) -> None:
        run, key = self.runs[event.run_id], (event.phase, event.step_id)
        problems: Iterator[str] = iter(())
        if run.undoes:
            problems = self._back(run, self.runs[run.undoes], event)
        elif event.phase == "rollback":
            problems = self._back(run, run, event)
        elif event.phase == "on_cancel":
            problems = _on_cancel(run)
        else:
            problems = _forth(run, run.planned.step("steps", event.step_id), at)
        for problem in problems:
            self.broken(15, f"{event.step_id} of {event.run_id} {problem}")
        under_way = [name for (_, name), step in run.steps.items() if step.is_under_way]
        if event.step_id in under_way:
            self.broken(15, f"{event.step_id} of {event.run_id} begins while it is under way")
        if under_way and (event.phase != "steps" or run.undoes):
            self.broken(15, f"{event.step_id} of {event.run_id} begins beside {under_way}")
        if key not in run.begun:
            run.begun.append(key)
        run.steps[key].attempts.append((at, True))
        run.steps[key].end = "open"

    def _back(self, run: _Run, forth: _Run, event: events.AttemptIntended) -> Iterator[str]:
        """Each part is taken back once, the latest first, and only what may be there."""
        root, order = run.undoes or event.run_id, [s.id for s in forth.planned.of("steps")]
        undoes = {step.id: step.undoes for step in forth.planned.of("rollback")}
        if not forth.steps["steps", undoes[event.step_id]].may_have_happened:
            yield "takes back what never began"
        if (root, event.step_id) in self.undone:
            yield "takes back what is taken back already"
        phase = "steps" if run.undoes else "rollback"
        before = [undoes[name] for part, name in run.begun if part == phase]
        if any(order.index(each) < order.index(undoes[event.step_id]) for each in before):
            yield "takes back what was done after what is taken back already"
        if run is forth and not (run.failed or run.late or run.cancelled_by or not run.verified):
            yield "takes back what helped"


def _deadline(run: _Run) -> datetime | None:
    began_at, within_s = run.began_at, run.planned.deadline_s
    if began_at is None or within_s is None:
        return None
    return began_at + timedelta(seconds=within_s)


def _asks(step: PlannedStep) -> bool:
    """Whether a failure before it doesn't skip it."""
    return "failure()" in step.condition or "always()" in step.condition


def _forth(run: _Run, step: PlannedStep, at: datetime) -> Iterator[str]:
    """A step begins when those in front of it are over, in time, and not after a failure."""
    if any(phase != "steps" for phase, _ in run.begun):
        yield "begins on the way back"
    due = _deadline(run)
    if not _asks(step):
        if due is not None and at >= due:
            yield "begins after the deadline"
        failed = [each for each in run.failed if each.id != step.id]
        lost = {_item(each.id) for each in failed}
        if run.late or run.has_lost_all(lost):
            yield "begins after a failure"
        if _item(step.id) in lost - {""}:
            yield "begins although its item has failed"
    elif "failure()" in step.condition and not (run.failed or run.late):
        yield "begins without a failure"
    steps = run.planned.of("steps")
    for each in steps[: steps.index(step)]:
        is_over = run.steps["steps", each.id].end in _OVER or run.is_over
        if not is_over and not _at_once(run, each, step):
            yield f"begins before {each.id} is over"
    gates = {each.place.gate for each in (step,) if each.place is not None and each.place.gate}
    if any(run.steps["steps", gate].end == "skipped" for gate in gates):
        yield "begins although its call is left out"
    yield from _batches(run, step)


def _batches(run: _Run, step: PlannedStep) -> Iterator[str]:
    """By what is written, whatever the plan says."""
    number = _batch(run, _item(step.id))
    ends = {_item(name): known.end for (_, name), known in run.steps.items() if known.end}
    for batch in run.batches[: max(number, 0)]:
        for item in batch:
            if ends.get(item) not in _OVER:
                yield f"begins before {item} of the batch before is over"
    if any(_batch(run, item) > number >= 0 for item in ends):
        yield "begins after one of the batch behind it"


def _on_cancel(run: _Run) -> Iterator[str]:
    if run.cancelled_by in ("", ENGINE):
        yield "begins, and nobody cancelled it"
    if any(phase == "rollback" for phase, _ in run.begun):
        yield "begins after the rollback"


def _at_the_end(run: _Run, end: events.RunEnded) -> Iterator[str]:
    """Nothing is left that should have been done, and what is left is told."""
    if end.outcome == "succeeded" and not run.undoes and (run.failed or run.late):
        yield "succeeded, and a step of it did not"
    if run.verified and run.is_over and not run.undoes:
        yield "is verified, although too much of it failed"
    if run.began_at is None or run.cancelled_by == ENGINE:
        return
    for step in _asked(run):
        if run.steps[step.phase, step.id].end not in _OVER:
            yield f"ends without {step.id}"
    if run.undoes or run.verified:
        return
    left = []
    for step in run.may_have_happened():
        undoing = [undo for undo in run.planned.of("rollback") if undo.undoes == step.id]
        ends = {run.steps["rollback", undo.id].end for undo in undoing}
        if not ends or not ends <= {"succeeded", "skipped"}:
            left.append(step.id)
    if sorted(end.left) != sorted(left):
        yield f"leaves {left}, and tells of {list(end.left)}"


def _asked(run: _Run) -> Iterator[PlannedStep]:
    """The steps that are done, or left out for a reason, however its others ended."""
    if run.cancelled_by and run.halfway:
        yield from run.planned.of("on_cancel")
    for step in run.planned.of("steps"):
        after_a_failure = "failure()" in step.condition and (run.failed or run.late)
        always = run.undoes or after_a_failure or "always()" in step.condition
        if always and not run.cancelled_by:
            yield step
    if not run.verified:
        done = {step.id for step in run.may_have_happened()}
        yield from (undo for undo in run.planned.of("rollback") if undo.undoes in done)


def _at_once(run: _Run, one: PlannedStep, other: PlannedStep) -> bool:
    """Whether they stand in two branches, or are one step of the text for two items of a batch."""
    branches = BRANCHES.get(run.planned.playbook_id, {})
    if one.id in branches and other.id in branches:
        return branches[one.id] != branches[other.id]
    batch = _batch(run, _item(one.id))
    same = one.id.partition("[")[0] == other.id.partition("[")[0]
    return same and batch == _batch(run, _item(other.id)) >= 0


def _item(step_id: str) -> str:
    """The item of a loop's step, "" elsewhere; a wait of a whole batch has one of its own."""
    return step_id.partition("[")[2].removesuffix("]")


def _batch(run: _Run, item: str) -> int:
    """The number of an item's batch, -1 for what is no item."""
    found = (number for number, batch in enumerate(run.batches) if item in batch)
    return next(found, -1)
