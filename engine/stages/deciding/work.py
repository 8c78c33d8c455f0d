"""What is gathered over one batch of records before it is written once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from engine.core import events
from engine.core.alert import Firing, Occurrence
from engine.core.catalog import Catalog
from engine.core.incident import Incident
from engine.core.severity import Severity
from engine.core.silences import SilenceBook
from engine.ports.recording import Author
from engine.ports.store import Tx
from engine.stages.deciding.admitting import Admitting

Disposition = Literal[
    "stale", "repeat", "resolved", "unmatched", "suppressed", "new", "tick", "poison"
]


@dataclass(frozen=True, slots=True)
class Absorbed:
    """Occurrences that leave an incident, and the incident that explains them, by name."""

    occurrences: list[Occurrence]
    cause: str


@dataclass(slots=True)
class BatchWork:
    """One batch: by incident what joined, ended or left it; by fingerprint what changed."""

    tx: Tx
    catalog: Catalog
    latest: dict[str, Occurrence]
    # Of those of which `latest` has nothing yet: what a repeat has to know, and what repeats made
    # of it, by fingerprint.
    steady: dict[str, Firing] = field(default_factory=dict)
    repeated: dict[str, Firing] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    dispositions: Counter[Disposition] = field(default_factory=Counter)
    touched: dict[str, Occurrence] = field(default_factory=dict)
    live: dict[str, Incident] = field(default_factory=dict)
    # By rule and group: in a storm most alerts share a few.
    correlations: dict[tuple[object, ...], str] = field(default_factory=dict)
    joined: dict[str, list[Occurrence]] = field(default_factory=dict)
    ended: dict[str, list[Occurrence]] = field(default_factory=dict)
    absorbed: dict[str, Absorbed] = field(default_factory=dict)
    # The time of the record that was taken last.
    decided_at: datetime | None = None
    # How many alerts of an incident fire now, and at most since its part was last written.
    firing: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    # Incidents that may be over now, or more severe: their part is written before the next record,
    # so that a batch comes to the same as its records one by one.
    settling: set[str] = field(default_factory=set)
    # Open for so long that they may be more severe, and stable for long enough after flapping.
    aged: dict[str, Severity] = field(default_factory=dict)
    # By incident the gravest of what joined it, by its rule's severity, and that alert's name.
    gravest: dict[str, tuple[Severity, str]] = field(default_factory=dict)
    calm: set[str] = field(default_factory=set)
    opened: list[Incident] = field(default_factory=list)
    book: SilenceBook | None = None
    first_runs: dict[str, Sequence[events.Event]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    _admitting: Admitting | None = None

    @property
    def author(self) -> Author:
        """Who writes all of it."""
        return Author(catalog=self.catalog.version)

    @property
    def silences(self) -> SilenceBook:
        """Those that people set, and the policy's."""
        if self.book is None:
            self.book = SilenceBook(self.tx.silences.current(), self.catalog.policy.silences)
        return self.book

    @property
    def admitting(self) -> Admitting:
        """The conditions of this batch's occurrences."""
        if self._admitting is None:
            self._admitting = Admitting(self.tx, self.catalog, self.occurrence, self.correlations)
        return self._admitting

    def incident(self, incident: str) -> Incident | None:
        """As it is after this batch so far."""
        return self.live.get(incident) or self.tx.incident(incident)

    def occurrence(self, fingerprint: str) -> Occurrence | None:
        """The latest of this fingerprint, open or not."""
        if fingerprint not in self.latest:
            self.latest.update(self.tx.occurrences([fingerprint]))
            if fingerprint in self.repeated:
                kept = self.latest[fingerprint]
                self.latest[fingerprint] = self.repeated[fingerprint].of(kept)
        return self.latest.get(fingerprint)

    def keep(self, occurrence: Occurrence) -> None:
        """It is the latest of its fingerprint."""
        fingerprint = occurrence.alert.fingerprint
        self.latest[fingerprint] = self.touched[fingerprint] = occurrence
        self.repeated.pop(fingerprint, None)

    def end(self, occurrence: Occurrence) -> None:
        """Keep one that no longer fires, and let go of what it did to others."""
        ended_at = occurrence.ended_at
        if ended_at is not None and (occurrence.held_by or occurrence.inhibits):
            occurrence = self.admitting.ends(occurrence, ended_at)
        self.keep(occurrence)
        for incident in occurrence.incident_ids:
            self.ended.setdefault(incident, []).append(occurrence)
            self._count(incident, -1)

    def join(self, incident: str, occurrence: Occurrence, severity: Severity) -> None:
        """It belongs to an incident from now on, and is as severe as this by itself."""
        self.joined.setdefault(incident, []).append(occurrence)
        known = self.gravest.get(incident)
        if known is None or severity < known[0]:
            self.gravest[incident] = (severity, occurrence.alert.name)
        self._count(incident, 1)

    def absorb(self, incident: Incident, occurrence: Occurrence, cause: str) -> None:
        """It leaves an incident for what explains it."""
        absorbed = self.absorbed.setdefault(incident.id, Absorbed([], cause))
        absorbed.occurrences.append(occurrence)
        self._count(incident.id, -1)

    def _count(self, incident: str, change: int) -> None:
        if incident not in self.firing:
            known = self.incident(incident)
            self.firing[incident] = 0 if known is None else known.open_count
        now = self.firing[incident] = self.firing[incident] + change
        self.most[incident] = max(now, self.most.get(incident, 0))
        if not now:
            self.settling.add(incident)
