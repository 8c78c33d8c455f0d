"""Alerts and occurrences: what a source said, and the firing interval that follows from it."""

from collections.abc import Mapping
from datetime import datetime
from operator import attrgetter
from typing import Literal

from msgspec import Struct, structs

from engine.core.bounds import cut_texts
from engine.core.ids import derived_id, derived_id_of
from engine.core.readable_struct import ReadableStruct
from engine.errors import PayloadError

SeverityHint = Literal["critical", "error", "warning", "info", ""]
AlertStatus = Literal["firing", "resolved"]

# Room for what Prometheus and clouds send, and little enough that 10 alerts fit into an entry and
# a label into an index of PostgreSQL (2,704 bytes).
MAX_LABELS = 128
MAX_LABEL_BYTES = 2_048
MAX_LABELS_BYTES = 16 * 1024
MAX_ANNOTATION = 4_096
MAX_ANNOTATIONS = 64 * 1024
MAX_LINK = 8_192
MAX_LINKS = 10


class Alert(ReadableStruct, frozen=True, gc=False):
    """One notice from a source. Texts are "" when absent; times are aware, in UTC.

    A struct, because one is made for each notice and again for each record: it takes a fifth of
    a dataclass's time, and `structs.replace` half of `replace`'s.

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


_TEXTS = (
    *("fingerprint", "source", "name", "service", "resource", "target"),
    *("environment", "team", "customer", "region"),
)
_texts_of = attrgetter(*_TEXTS)


def within_bounds(alert: Alert, size: int | None = None) -> Alert:
    """The alert, with annotations that are cut where they are long.

    `size` is that of the JSON in which it came, or of all its texts, in bytes. Labels tell alerts
    apart, so none of them is cut: raises PayloadError for the first that is too large, and for too
    many. A link that is too long is none.
    """
    if _is_small(alert, size):
        return alert
    for where, texts in (("labels", alert.labels), ("annotations", alert.annotations)):
        if len(texts) > MAX_LABELS:
            raise PayloadError(f"there are {len(texts)}, at most {MAX_LABELS}", where)
        for name in texts:
            _require_short(name, f"the name {name[:80]!r}", where)
    for name, value in alert.labels.items():
        _require_short(value, "the value", f"labels.{name[:80]}")
    for field in _TEXTS:
        _require_short(getattr(alert, field), "the text", field)
    whole = sum(map(_size, (*alert.labels, *alert.labels.values())))
    if whole > MAX_LABELS_BYTES:
        raise PayloadError(f"they take {whole} bytes, at most {MAX_LABELS_BYTES}", "labels")
    annotations = cut_texts(alert.annotations, MAX_ANNOTATION, MAX_ANNOTATIONS)
    links = tuple(link for link in alert.links if len(link) <= MAX_LINK)[:MAX_LINKS]
    if annotations == alert.annotations and links == alert.links:
        return alert
    return structs.replace(alert, annotations=annotations, links=links)


def _is_small(alert: Alert, size: int | None) -> bool:
    """Whether it is far below every bound, as most are: a few lengths tell, and nothing is cut."""
    labels, annotations = alert.labels, alert.annotations
    if max(len(labels), len(annotations)) > MAX_LABELS or len(alert.links) > MAX_LINKS:
        return False
    # All texts together, or all names and all values: no single one is longer.
    if size is not None and size <= MAX_LABEL_BYTES:
        return True
    texts = (*labels, *labels.values(), *annotations, *annotations.values(), *alert.links)
    whole = "".join((*texts, *_texts_of(alert)))
    if len(whole) <= MAX_LABEL_BYTES and whole.isascii():
        return True
    return (
        max(
            len("".join(labels)),
            len("".join(labels.values())),
            len("".join(annotations)),
            len("".join(_texts_of(alert))),
        )
        <= MAX_LABEL_BYTES // 4
        and len("".join(annotations.values())) <= MAX_ANNOTATION
        and len("".join(alert.links)) <= MAX_LINK
    )


def _require_short(text: str, what: str, where: str) -> None:
    # A character takes at most four bytes, so most texts need no counting.
    if len(text) * 4 > MAX_LABEL_BYTES and (size := _size(text)) > MAX_LABEL_BYTES:
        advice = "put a long text into an annotation"
        raise PayloadError(f"{what} has {size} bytes, at most {MAX_LABEL_BYTES}; {advice}", where)


def _size(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))


def fingerprint_of(source: str, identity: Mapping[str, str]) -> str:
    """Derived from the source's name and what its page says identifies an occurrence."""
    return derived_id_of("fingerprint", source, identity)


class Occurrence(Struct, frozen=True, gc=False):
    """One firing interval of a fingerprint; `alert` is the notice that opened it.

    `last_notice_at` orders notices: an older one never undoes a newer one. `ended_at` is None
    while it is open. `repeats` counts firing notices after the first. `partition_key` is the key
    under which it came, "" from before that was kept. `held_by` are the rules by which it doesn't
    act yet, `heard_by` those that count its repeats; `inhibits` are the keys under which it holds
    others back.
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
    partition_key: str = ""
    held_by: tuple[str, ...] = ()
    heard_by: tuple[str, ...] = ()
    inhibits: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether it still fires as far as quell knows."""
        return self.ended_at is None


class Firing(Struct, frozen=True, gc=False):
    """What a repeat asks and changes of an open occurrence whose repeats no rule counts.

    It is newer than the occurrence's own row, which is as it was when its expiry was
    `kept_expiry`: the timer is at that time.
    """

    fingerprint: str
    started_at: datetime
    last_notice_at: datetime
    expires_at: datetime | None
    repeats: int
    kept_expiry: datetime | None

    def of(self, kept: Occurrence) -> Occurrence:
        """The occurrence as it is now; `kept` is what its own row says."""
        return structs.replace(
            kept,
            last_notice_at=self.last_notice_at,
            expires_at=self.expires_at,
            repeats=self.repeats,
        )


def firing_of(occurrence: Occurrence) -> Firing | None:
    """None where a repeat has to know more of it."""
    if not occurrence.is_open or occurrence.heard_by:
        return None
    return Firing(
        fingerprint=occurrence.alert.fingerprint,
        started_at=occurrence.started_at,
        last_notice_at=occurrence.last_notice_at,
        expires_at=occurrence.expires_at,
        repeats=occurrence.repeats,
        kept_expiry=occurrence.expires_at,
    )


def repeat(alert: Alert, firing: Firing) -> Firing | None:
    """`firing` after one more notice; None where `receive` has to fold it into the whole.

    The whole row is written again when half of the time until its expiry is over: the timer, and
    a replica of an older release that reads nothing but that row, are never far behind.
    """
    at = alert.ordered_at
    if (
        alert.status != "firing"
        or at < firing.last_notice_at
        or alert.starts_at < firing.started_at
        or not _is_long_before(firing.kept_expiry, alert)
    ):
        return None
    return Firing(
        fingerprint=firing.fingerprint,
        started_at=firing.started_at,
        last_notice_at=at,
        expires_at=alert.expires_at,
        repeats=firing.repeats + 1,
        kept_expiry=firing.kept_expiry,
    )


def _is_long_before(kept_expiry: datetime | None, alert: Alert) -> bool:
    if kept_expiry is None or alert.expires_at is None:
        return kept_expiry is alert.expires_at
    left = kept_expiry - alert.received_at
    return left <= (alert.expires_at - alert.received_at) <= 2 * left


def occurrence_id(fingerprint: str, started_at: datetime, before: str = "") -> str:
    """Derived: a fingerprint, the start of its interval, and the occurrence before it.

    One body may say that an alert fires, has ended and fires again, all at the same moment.
    """
    return derived_id("occurrence", fingerprint, started_at.isoformat(), before)


class Notice(Struct, frozen=True, gc=False):
    """What a notice did to its fingerprint's occurrence, and the occurrence after it."""

    effect: Literal["stale", "repeat", "resolved", "opened"]
    occurrence: Occurrence


def receive(alert: Alert, current: Occurrence | None, partition_key: str = "") -> Notice:
    """Fold one notice, of a record with this key, into the latest occurrence of its fingerprint.

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
        if current.ended_at is not None:
            # It may tell of a later interval, whose firing notice is still under way.
            ended = max(ended, current.ended_at)
            closed = structs.replace(current, last_notice_at=at, ended_at=ended, ended_by="source")
            return Notice("stale", closed)
        return Notice(
            "resolved",
            structs.replace(current, last_notice_at=at, ended_at=ended, ended_by="source"),
        )
    if current is not None and current.is_open:
        return Notice(
            "repeat",
            structs.replace(
                current,
                started_at=min(current.started_at, alert.starts_at),
                last_notice_at=at,
                expires_at=alert.expires_at,
                repeats=current.repeats + 1,
            ),
        )
    if current is not None and _is_late(alert, current):
        return Notice("stale", current)
    opened = Occurrence(
        id=occurrence_id(alert.fingerprint, alert.received_at, current.id if current else ""),
        alert=alert,
        started_at=alert.starts_at,
        last_notice_at=at,
        expires_at=alert.expires_at,
        ended_at=None,
        partition_key=partition_key,
    )
    return Notice("opened", opened)


def _is_late(alert: Alert, ended: Occurrence) -> bool:
    """Whether a firing notice belongs to the interval that already ended.

    A source's own event time tells a notice that was sent twice, and one that somebody replays.
    """
    if alert.event_at is not None:
        return alert.event_at <= ended.last_notice_at
    return (
        ended.ended_at is not None
        and ended.ended_by == "source"
        and alert.starts_at < ended.ended_at
    )
