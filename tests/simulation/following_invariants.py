"""Invariant 15, read from the journal alone: which run follows another one, and takes it back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.core import events
from engine.core.journal import ENGINE, Entry
from engine.core.plan import Plan
from tests.simulation.written import STAYS_WHILE

# Of one incident, beside those that take another one back.
MAX_RUNS = 3
_FAILED = ("failed", "partial", "unknown")


@dataclass
class _Run:
    created: events.RunCreated
    chain: str
    plan: Plan | None = None
    ended: events.RunEnded | None = None
    ended_at: datetime | None = None

    @property
    def reverts_after(self) -> timedelta | None:
        """How long after its end it is taken back; None: it stays, or didn't help."""
        helped = self.ended is not None and self.ended.outcome == "succeeded"
        if self.plan is None or self.plan.revert_after_s is None or not helped:
            return None
        return timedelta(seconds=self.plan.revert_after_s)


@dataclass
class FollowingInvariants:
    """`broken` is told what doesn't hold."""

    broken: Callable[[int, str], None]
    runs: dict[str, _Run] = field(default_factory=dict)
    cleared: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    severity: dict[str, str] = field(default_factory=dict)

    def read(  # noqa: C901 - a table
        self, told: Sequence[tuple[Entry, events.Event | None]]
    ) -> None:
        """Take in what one transaction wrote."""
        for number, (entry, event) in enumerate(told):
            match event:
                case events.RunCreated():
                    run = _Run(event, entry.chain)
                    for problem in self._created(run, entry):
                        self.broken(15, f"run {event.run_id} {problem}")
                    self.runs[event.run_id] = run
                case events.RunPlanned():
                    self.runs[event.run_id].plan = Plan.model_validate_json(event.plan)
                case events.RunEnded():
                    run = self.runs[event.run_id]
                    run.ended, run.ended_at = event, entry.at
                    behind = [each for _, each in told[number + 1 :]]
                    for problem in self._ended(run, event, behind):
                        self.broken(15, f"run {event.run_id} {problem}")
                case events.IncidentOpened() | events.SeverityRaised():
                    self.severity[entry.chain] = event.severity
                case events.AttemptIntended():
                    waits = self.runs[event.run_id].created.reverts
                    if waits and self.severity[entry.chain] == STAYS_WHILE:
                        self.broken(15, f"run {event.run_id} does not wait for its `when`")
                case events.RevertCalledOff():
                    self.kept.add(event.run_id)
                case events.IncidentResolved() | events.IncidentClosed():
                    self.cleared.add(entry.chain)
                case events.IncidentReopened():
                    self.cleared.discard(entry.chain)
                case _:
                    pass

    def _created(self, run: _Run, entry: Entry) -> Iterator[str]:
        before = [each for each in self.runs.values() if each.chain == run.chain]
        if any(each.ended is None for each in before):
            yield "begins while another one of its incident is under way"
        if run.created.undoes:
            yield from self._takes_back(run, entry)
            return
        if not before:
            return
        if sum(not each.created.undoes for each in before) >= MAX_RUNS:
            yield f"is one more than {MAX_RUNS} of its incident"
        failed = before[-1]
        start = failed.plan.on_failure if failed.plan else None
        if failed.ended is None or failed.ended.outcome not in _FAILED or start is None:
            yield "follows a run that nothing was to follow"
        elif (start.playbook, start.parameters) != (
            run.created.playbook_id,
            run.created.parameters,
        ):
            yield "isn't what was to follow"

    def _takes_back(self, run: _Run, entry: Entry) -> Iterator[str]:
        of = self.runs[run.created.undoes]
        others = [each for each in self.runs.values() if each.created.undoes == run.created.undoes]
        if any(each.ended is None or each.ended.outcome == "succeeded" for each in others):
            yield "takes back what is taken back already, or is about to be"
        if not run.created.reverts:
            if entry.actor == ENGINE:
                yield "takes another one back, and nobody wanted that"
            return
        after = of.reverts_after
        if after is None or of.ended_at is None or entry.at < of.ended_at + after:
            yield "takes a remedy back whose time is not over"
        if run.created.undoes in self.kept or any(each.created.reverts for each in others):
            yield "takes a remedy back that stays, or for the second time"

    def _ended(
        self, run: _Run, end: events.RunEnded, behind: Sequence[events.Event | None]
    ) -> Iterator[str]:
        follows = any(isinstance(each, events.RunCreated) for each in behind)
        start = run.plan.on_failure if run.plan is not None else None
        wanted = start is not None and end.outcome in _FAILED and run.chain not in self.cleared
        if wanted and not follows and "does not follow" not in end.reason:
            yield "failed, and neither is followed nor says why"
        is_told = any(isinstance(each, events.FollowUpOpened) for each in behind)
        if run.created.reverts and end.outcome != "succeeded" and not is_told:
            yield "takes nothing back, and nobody is told"
        if run.reverts_after is not None and "it is taken back after" not in end.reason:
            yield "is to be taken back, and doesn't say so"

    def at_rest(self) -> None:
        """Every remedy whose time is over was taken back, or somebody was told that it wasn't."""
        for run_id, run in self.runs.items():
            back = [each for each in self.runs.values() if each.created.undoes == run_id]
            if run.reverts_after is not None and not back and run_id not in self.kept:
                self.broken(15, f"run {run_id} helped for a while, and is not taken back")
