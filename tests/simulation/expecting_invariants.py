"""Invariant 9, read from the journal and the hosts' own alerts: what a run may keep quiet."""

from collections.abc import Callable, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.core import events
from engine.core.alert import fingerprint_of
from engine.core.inventory import Inventory
from engine.core.journal import from_us
from engine.core.plan import Plan
from tests.simulation.inline_store import Database
from tests.simulation.written import ALERTS, HOSTS, alert_labels
from tests.simulation.written_guarded import NOTHING, PROMISED

_WAITING = "SELECT fingerprint, since_us FROM holds WHERE kind = 'silenced'"
_SILENCES = "SELECT id, ends_at_us FROM silences"
_TOLD = "SELECT DISTINCT fingerprint FROM open_occurrences WHERE incident_id != ''"
# Of a plan without a deadline.
LONGEST_RUN = timedelta(days=1)
# Which alert a fingerprint is of: (name, host).
_ALERTS = {
    fingerprint_of("alertmanager", alert_labels(name, host)): (name, host)
    for name in ALERTS
    for host in HOSTS
}


@dataclass
class _Run:
    """One that expects alerts of this name; `silenced_by` is what it told of."""

    targets: frozenset[str]
    name: str
    after: timedelta
    began_at: datetime | None = None
    ended_at: datetime | None = None
    silenced_by: str = ""

    @property
    def over_at(self) -> datetime | None:
        """From when on nothing is expected any more; None before the run's end."""
        return self.ended_at and self.ended_at + self.after

    def expects(self, name: str, target: str, at: datetime) -> bool:
        """Whether this alert, which came then, is one that the run may cause."""
        if name != self.name or target not in self.targets or self.began_at is None:
            return False
        return self.began_at <= at and (self.over_at is None or at < self.over_at)


@dataclass
class ExpectingInvariants:
    """`broken` is told what doesn't hold."""

    broken: Callable[[int, str], None]
    database: Database
    inventory: Inventory
    playbooks: dict[str, str] = field(default_factory=dict)
    runs: dict[str, _Run] = field(default_factory=dict)

    def read(self, event: events.Event, at: datetime) -> None:
        """Take one entry in."""
        match event:
            case events.RunCreated() if not event.undoes:
                self.playbooks[event.run_id] = event.playbook_id
            case events.RunPlanned() if event.run_id in self.playbooks:
                expects = PROMISED.get(self.playbooks[event.run_id], NOTHING).expects
                if expects is not None:
                    plan = Plan.model_validate_json(event.plan)
                    changed = frozenset(t for s in plan.steps if s.changes for t in s.targets)
                    after = timedelta(seconds=expects[1])
                    self.runs[event.run_id] = _Run(changed, expects[0], after)
            case events.AttemptIntended() if event.run_id in self.runs:
                self.runs[event.run_id].began_at = self.runs[event.run_id].began_at or at
            case events.AlertsExpected():
                self.runs[event.run_id].silenced_by = event.silence_id
            case events.RunEnded() if event.run_id in self.runs:
                self.runs[event.run_id].ended_at = at
            case events.OccurrenceJoined():
                self._joined(event, at)
            case _:
                pass

    def _joined(self, event: events.OccurrenceJoined, at: datetime) -> None:
        """What is expected opens nothing until its time is over."""
        for alert in event.alerts:
            name, labels = str(alert["name"]), alert["labels"]
            assert isinstance(labels, dict)
            target = self.inventory.target_id(str(labels["instance"]))
            came_at = datetime.fromisoformat(str(alert["starts_at"]))
            for run_id, run in self.runs.items():
                is_over = run.over_at is not None and at >= run.over_at
                if run.expects(name, target, came_at) and not is_over:
                    self.broken(9, f"{name} of {target} is told, which {run_id} expects")

    def after_commit(self) -> None:
        """Nothing else waits, and for no longer."""
        if not self.runs:
            return
        for fingerprint, since_us in self.database.rows(_WAITING):
            alert, since = _ALERTS[fingerprint], from_us(since_us)
            if not any(run.expects(*alert, since) for run in self.runs.values()):
                self.broken(9, f"{alert} is silent, and nothing that is at work causes it")
        by = {run.silenced_by: run for run in self.runs.values() if run.began_at is not None}
        for silence_id, ends_at_us in self.database.rows(_SILENCES):
            run = by.get(silence_id)
            if run is None or run.began_at is None:
                self.broken(9, f"silence {silence_id} is of no run")
                continue
            latest = run.over_at or run.began_at + LONGEST_RUN + run.after
            if from_us(ends_at_us) > latest:
                self.broken(9, f"silence {silence_id} lasts until after {latest}")

    def at_rest(self, firing: Set[str]) -> None:
        """All that still fires is told once its time is over."""
        told = {fingerprint for (fingerprint,) in self.database.rows(_TOLD)}
        for fingerprint in sorted(firing - told):
            self.broken(9, f"{_ALERTS.get(fingerprint, fingerprint)} fires, and nobody hears of it")
