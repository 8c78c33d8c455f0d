"""Invariant 7, read from the journal and the source alone: what a first change rests on."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.core import events
from engine.core.alert import fingerprint_of
from engine.core.incident import BY_HAND
from engine.core.plan import Plan
from tests.simulation.source import Truth
from tests.simulation.written import GRAVE, alert_labels

# Ten seconds and the slack of five, the longest look at a target's state between, and a little.
FRESH_S = 10.0 + 5.0 + 30.0 + 1.0
# A precheck may be followed by another read of its plan, of so long at most.
READ_S = 30.0
# Which alert each rule takes.
TAKEN = {"down": "Down", "slow": "Slow"}


@dataclass
class _Run:
    mode: str
    incident: str
    goes_back: bool
    plan: Plan | None = None
    looks: dict[str, tuple[datetime, bool]] = field(default_factory=dict)
    answered: tuple[datetime, events.StillFiring] | None = None
    approved: bool = False
    # By attempt id, which a keyed change has at every attempt.
    may_have_begun: Counter[str] = field(default_factory=Counter)


@dataclass
class ClearanceInvariants:
    """`broken` is told what doesn't hold."""

    truth: Truth
    broken: Callable[[int, str], None]
    runs: dict[str, _Run] = field(default_factory=dict)
    cleared: set[str] = field(default_factory=set)
    opened: dict[str, events.IncidentOpened] = field(default_factory=dict)

    def read(self, event: events.Event, chain: str, at: datetime) -> None:  # noqa: C901 - a table
        """Take one entry in."""
        match event:
            case events.IncidentOpened():
                self.opened[chain] = event
            case events.IncidentResolved() | events.IncidentClosed():
                self.cleared.add(chain)
            case events.IncidentReopened():
                self.cleared.discard(chain)
            case events.RunCreated():
                self.runs[event.run_id] = _Run(event.mode, chain, bool(event.undoes))
            case events.RunPlanned():
                run = self.runs[event.run_id]
                run.plan, run.mode = Plan.model_validate_json(event.plan), event.mode
            case events.StepObserved() if event.phase == "precheck":
                self.runs[event.run_id].looks[event.step_id] = at, event.holds is True
            case events.StillFiringAsked():
                self.runs[event.run_id].answered = at, event.answer
                if event.answer == "firing" and not self.truth.said_so(FRESH_S):
                    self.broken(7, "the journal says that the source said what it did not say")
            case events.ApprovalDecided():
                self.runs[event.run_id].approved = event.decision == "approved"
            case events.AttemptIntended():
                self._intended(event, at)
            case events.AttemptEnded() if not event.begun:
                self.runs[event.run_id].may_have_begun[event.attempt_id] -= 1
            case _:
                pass

    def _intended(self, event: events.AttemptIntended, at: datetime) -> None:
        run = self.runs[event.run_id]
        # What a person takes back, or what was to be taken back, is taken back anyway.
        if not run.may_have_begun.total() and not run.goes_back:
            for problem in self._problems(run, at):
                self.broken(7, f"{event.step_id} of {event.run_id}: {problem}")
        run.may_have_begun[event.attempt_id] += 1

    def _problems(self, run: _Run, at: datetime) -> Iterator[str]:
        if run.incident in self.cleared:
            yield "nothing of its incident fires any more"
        if run.plan is None:
            yield "there is no plan"
            return
        for step in run.plan.of("verify"):
            looked_at, holds = run.looks.get(step.id, (None, False))
            if looked_at is None or at - looked_at > timedelta(seconds=FRESH_S + READ_S):
                yield f"{step.id} was not looked at lately"
            elif holds:
                yield f"{step.id} holds already"
        if self.opened[run.incident].rule_id != BY_HAND:
            yield from self._unconfirmed(run, at)

    def _unconfirmed(self, run: _Run, at: datetime) -> Iterator[str]:
        if run.answered is None or at - run.answered[0] > timedelta(seconds=FRESH_S):
            yield "nobody asked lately whether it fires"
        elif run.answered[1] == "resolved":
            yield "the source said that it no longer fires"
        elif run.answered[1] == "cannot_tell" and not run.approved:
            yield "nobody could tell whether it fires, and nobody approved"
        opened = self.opened[run.incident]
        labels = alert_labels(TAKEN[opened.rule_id], opened.group["target"])
        alerts = {fingerprint_of("alertmanager", each) for each in (labels, labels | GRAVE)}
        if not run.approved and not self.truth.fired_within(alerts, FRESH_S):
            yield "it does not fire, and nobody approved"
