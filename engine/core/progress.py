"""Whether what waits gets done: what stands still, since when, and in which words."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.core.alert import Alert, AlertStatus, fingerprint_of

# A batch takes milliseconds, and one that met a slow store or a rebalance some seconds. What hasn't
# moved for a minute while both answered won't move by itself.
STALLED_S = 60.0

# The part that all workers together are.
TASKS = "tasks"

# The source of quell's own alerts. Nobody else can send as it: no source may be named so.
OWN_SOURCE = "quell"
STALL_ALERT = "QuellStalled"
# An alert that nobody sends again, because its process has ended, is over after this.
EXPIRES_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Seen:
    """A part at one look: how many `unit`s wait, and a mark that moves with each success."""

    part: str
    waiting: int
    mark: int
    unit: str = "record"


@dataclass(frozen=True, slots=True)
class Standing:
    """A part, and for how many counted seconds it hasn't moved although something waited.

    `since` is the look at which that began. Only time in which store and stream answered counts.
    """

    seen: Seen
    since: datetime
    stood_s: float = 0.0

    @property
    def is_stalled(self) -> bool:
        """Whether it won't move by itself."""
        return self.stood_s >= STALLED_S

    @property
    def sentence(self) -> str:
        """What stands still, for people."""
        waiting = f"{self.seen.waiting} {self.seen.unit}{'s' if self.seen.waiting != 1 else ''}"
        return (
            f"{self.seen.part}: {waiting} waiting, and none was taken since "
            f"{self.since:%Y-%m-%d %H:%M:%S} UTC, {self.stood_s:.0f} s of that with store and "
            "stream at hand"
        )


def partition_part(partition: int) -> str:
    """What a partition of the stream is called as a part."""
    return f"partition {partition}"


def follow(
    before: Mapping[str, Standing], seen: Collection[Seen], now: datetime, counted_s: float
) -> dict[str, Standing]:
    """Every part that was seen now, after the looks before; `counted_s` passed since the last."""
    return {each.part: _followed(before.get(each.part), each, now, counted_s) for each in seen}


def _followed(before: Standing | None, seen: Seen, now: datetime, counted_s: float) -> Standing:
    waited = before is not None and before.seen.waiting and seen.waiting
    if before is None or not waited or before.seen.mark != seen.mark:
        return Standing(seen, now)
    return Standing(seen, before.since, before.stood_s + counted_s)


def stall_alert(standing: Standing, status: AlertStatus, now: datetime, reason: str = "") -> Alert:
    """quell's own alert about a part; every process that sees the same stall tells the same.

    `reason` is what is known of why, "" for nothing.
    """
    labels = {
        "alertname": STALL_ALERT,
        "part": standing.seen.part,
        "service": OWN_SOURCE,
        "severity": "critical",
    }
    return Alert(
        fingerprint=fingerprint_of(OWN_SOURCE, labels),
        source=OWN_SOURCE,
        name=STALL_ALERT,
        status=status,
        labels=labels,
        annotations={
            "summary": f"quell itself stands still: {standing.sentence}",
            "description": reason or "See the log of its processes, and restart them",
        },
        starts_at=standing.since,
        ends_at=now if status == "resolved" else None,
        received_at=now,
        expires_at=now + EXPIRES_AFTER if status == "firing" else None,
        service=OWN_SOURCE,
        severity_hint="critical",
    )
