"""Alerts and occurrences: what a source said, and the firing interval that follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from engine.core.ids import derived_id

SeverityHint = Literal["critical", "error", "warning", "info", ""]
AlertStatus = Literal["firing", "resolved"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One notice from a source. Texts are "" when absent; times are aware, in UTC.

    `event_at` is the source's own event time where each of its notices has one, else None, and
    then notices are ordered by `received_at`. `expires_at` closes the occurrence unless a later
    notice moves it.
    """

    fingerprint: str
    source: str
    name: str
    status: AlertStatus
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None
    received_at: datetime
    event_at: datetime | None = None
    expires_at: datetime | None = None
    service: str = ""
    resource: str = ""
    target: str = ""
    environment: str = ""
    team: str = ""
    customer: str = ""
    region: str = ""
    severity_hint: SeverityHint = ""
    links: tuple[str, ...] = ()

    @property
    def partition_key(self) -> str:
        """What keeps an alert's order: service, else resource, else fingerprint."""
        return self.service or self.resource or self.fingerprint

    @property
    def ordered_at(self) -> datetime:
        """The time by which notices of one fingerprint are ordered."""
        return self.event_at or self.received_at


def fingerprint_of(source: str, identity: Mapping[str, str]) -> str:
    """Derived from the source's name and what its page says identifies an occurrence."""
    return derived_id(
        "fingerprint", source, *(part for k in sorted(identity) for part in (k, identity[k]))
    )


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One firing interval of a fingerprint; `alert` is the notice that opened it.

    `last_notice_at` orders notices: an older one never undoes a newer one. `ended_at` is None
    while it is open. `repeats` counts firing notices after the first.
    """

    id: str
    alert: Alert
    started_at: datetime
    last_notice_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None
    ended_by: Literal["", "source", "expiry"] = ""
    incident_ids: tuple[str, ...] = ()
    repeats: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it still fires as far as quell knows."""
        return self.ended_at is None


def occurrence_id(fingerprint: str, started_at: datetime, before: str = "") -> str:
    """Derived: a fingerprint, the start of its interval, and the occurrence before it.

    One body may say that an alert fires, has ended and fires again, all at the same moment.
    """
    return derived_id("occurrence", fingerprint, started_at.isoformat(), before)


@dataclass(frozen=True, slots=True)
class Notice:
    """What a notice did to its fingerprint's occurrence, and the occurrence after it."""

    effect: Literal["stale", "repeat", "resolved", "opened"]
    occurrence: Occurrence


def receive(alert: Alert, current: Occurrence | None) -> Notice:
    """Fold one notice into the latest occurrence of its fingerprint.

    A resolution that comes first leaves a closed occurrence behind, so that the late firing
    notice of the same interval is stale and doesn't open anything.
    """
    at = alert.ordered_at
    if current is not None and at < current.last_notice_at:
        return Notice("stale", current)
    if alert.status == "resolved":
        ended = min(alert.ends_at or at, at)
        if current is None:
            started = min(alert.starts_at, ended)
            closed = Occurrence(
                id=occurrence_id(alert.fingerprint, started),
                alert=alert,
                started_at=started,
                last_notice_at=at,
                expires_at=None,
                ended_at=ended,
                ended_by="source",
            )
            return Notice("stale", closed)
        if not current.is_open:
            return Notice("stale", replace(current, last_notice_at=at))
        return Notice(
            "resolved",
            replace(current, last_notice_at=at, ended_at=ended, ended_by="source"),
        )
    if current is not None and current.is_open:
        return Notice(
            "repeat",
            replace(
                current,
                started_at=min(current.started_at, alert.starts_at),
                last_notice_at=at,
                expires_at=alert.expires_at,
                repeats=current.repeats + 1,
            ),
        )
    if (
        current is not None
        and alert.event_at is None
        and current.ended_at is not None
        and current.ended_by == "source"
        and alert.starts_at < current.ended_at
    ):
        return Notice("stale", current)  # a late notice of the interval that already ended
    opened = Occurrence(
        id=occurrence_id(alert.fingerprint, alert.received_at, current.id if current else ""),
        alert=alert,
        started_at=alert.starts_at,
        last_notice_at=at,
        expires_at=alert.expires_at,
        ended_at=None,
    )
    return Notice("opened", opened)
