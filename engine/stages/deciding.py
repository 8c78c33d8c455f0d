"""One batch of records becomes journal, projections, tasks and position, in one transaction.

    dedupe → classify → correlate → decide

Every record gets exactly one disposition, the first that fits of stale, repeat, resolved,
unmatched, suppressed, new (ticks and poison are counted as such): the counters are part of the
same transaction as the position, so that the balance holds after any crash.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Literal

from pydantic import JsonValue

from engine.core import events
from engine.core.alert import Alert, Occurrence, receive
from engine.core.bounds import cut, cut_texts, size_of
from engine.core.catalog import Catalog
from engine.core.classify import Match, classify
from engine.core.events.event import BRIEF_LIMIT, TITLE_LIMIT
from engine.core.ids import dead_letter_id, derived_id
from engine.core.incident import REOPEN_WITHIN, Incident, correlation_key, incident_id
from engine.core.inventory import enrich
from engine.core.records import Tick, decode_record
from engine.core.retention import USUAL, Retention
from engine.core.trigger import first_run, opened_by
from engine.errors import PayloadError
from engine.ports.keeping import keep_of_stream
from engine.ports.recording import Author, open_incident, record
from engine.ports.rows import DeadLetter, Task
from engine.ports.store import Tx
from engine.ports.stream import Batch, Record

Disposition = Literal[
    "stale", "repeat", "resolved", "unmatched", "suppressed", "new", "tick", "poison"
]

# An entry tells of this many alerts in words; the rest are in its digest and in the rows.
ALERTS_IN_AN_ENTRY = 10
ALERTS_IN_AN_ENTRY_BYTES = 512 * 1024
ANNOTATIONS_TOLD = 8_000
# Each is a line of the log; a rule that fails for one alert fails for all of a storm.
FAILURES_TOLD = 20


@dataclass(frozen=True, slots=True)
class Decided:
    """What a batch came to, for metrics and logs; `failures` of expressions, each once."""

    dispositions: Counter[Disposition]
    opened: tuple[Incident, ...]
    failures: tuple[str, ...]


@dataclass(slots=True)
class _Work:
    """What is gathered over one batch before it is written once."""

    tx: Tx
    catalog: Catalog
    latest: dict[str, Occurrence]
    keys: dict[str, str] = field(default_factory=dict)
    dispositions: Counter[Disposition] = field(default_factory=Counter)
    touched: dict[str, Occurrence] = field(default_factory=dict)
    live: dict[str, Incident] = field(default_factory=dict)
    # By rule and group: in a storm most alerts share a few.
    correlations: dict[tuple[object, ...], str] = field(default_factory=dict)
    joined: dict[str, list[Occurrence]] = field(default_factory=dict)
    ended: dict[str, list[Occurrence]] = field(default_factory=dict)
    opened: list[Incident] = field(default_factory=list)
    first_runs: dict[str, Sequence[events.Event]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    poison: list[DeadLetter] = field(default_factory=list)

    @property
    def author(self) -> Author:
        return Author(catalog=self.catalog.version)


def decide(
    tx: Tx,
    stream: str,
    batch: Batch,
    expected: int,
    catalog: Catalog,
    retention: Retention = USUAL,
) -> Decided:
    """Decide on `batch` and move the partition's position from `expected` behind it.

    Raises FencedError when another consumer moved it: then nothing of this was written.
    """
    tx.advance(stream, batch.partition, expected, batch.next_offset)
    decoded = [(each, _decode(each)) for each in batch.records]
    fingerprints = {
        value.fingerprint if isinstance(value, Alert) else value.subject
        for _, value in decoded
        if isinstance(value, Alert | Tick)
    }
    work = _Work(tx, catalog, dict(tx.occurrences(sorted(fingerprints))))
    for each, value in decoded:
        match value:
            case Alert():
                # The inventory may name another service than the sender did; the order of the
                # fingerprint's records stays with the key under which they came.
                work.keys[value.fingerprint] = each.key
                work.dispositions[_take_alert(work, value)] += 1
            case Tick():
                _take_tick(work, value)
                work.dispositions["tick"] += 1
            case PayloadError():
                work.poison.append(_poison(tx, stream, each, value))
                work.dispositions["poison"] += 1
    _write(work)
    keep_of_stream(tx, work.poison, retention)
    _count(tx, stream, work.dispositions)
    failures = tuple(dict.fromkeys(work.failures))[:FAILURES_TOLD]
    return Decided(work.dispositions, tuple(work.opened), failures)


def give_up(
    tx: Tx,
    stream: str,
    batch: Batch,
    expected: int,
    reason: str,
    retention: Retention = USUAL,
) -> Decided:
    """Keep the records of `batch` as dead letters and move the position behind them.

    It is for what `decide` can't take because of a gap in quell; raises FencedError as that does.
    """
    tx.advance(stream, batch.partition, expected, batch.next_offset)
    gap = PayloadError(f"a gap in quell: {reason}")
    keep_of_stream(tx, [_poison(tx, stream, each, gap) for each in batch.records], retention)
    dispositions = Counter[Disposition]({"poison": len(batch.records)})
    _count(tx, stream, dispositions)
    return Decided(dispositions, (), ())


def _count(tx: Tx, stream: str, dispositions: Counter[Disposition]) -> None:
    """Each record has one disposition, so both sides of the balance are counted together."""
    decided = {f"disposition/{name}": n for name, n in dispositions.items()}
    tx.count({**decided, f"records/{stream}": dispositions.total()})


def _decode(each: Record) -> Alert | Tick | PayloadError:
    try:
        return decode_record(each.value)
    except PayloadError as error:
        return error


def _take_alert(work: _Work, alert: Alert) -> Disposition:
    notice = receive(alert, work.latest.get(alert.fingerprint))
    occurrence = notice.occurrence
    if notice.effect == "opened":
        return _open(work, occurrence, enrich(alert, work.catalog.inventory))
    if occurrence.alert is alert:  # a resolution that came first
        occurrence = replace(occurrence, alert=enrich(alert, work.catalog.inventory))
    work.latest[alert.fingerprint] = work.touched[alert.fingerprint] = occurrence
    if notice.effect == "resolved":
        _end(work, occurrence)
        work.tx.cancel_task("tick", f"occurrence_expiry/{alert.fingerprint}")
        return "resolved"
    if notice.effect == "repeat":
        _expire_later(work, occurrence)
    return notice.effect


def _open(work: _Work, opened: Occurrence, alert: Alert) -> Disposition:
    """`alert` is the one that opened it, with what the inventory knows."""
    found = classify(alert, work.catalog.rules)
    work.failures.extend(found.failures)
    matches = [*found.observed, *([found.taken] if found.taken else [])]
    ids = tuple([_join(work, match, opened.id, alert) for match in matches])
    occurrence = replace(opened, alert=alert, incident_ids=ids)
    work.latest[alert.fingerprint] = work.touched[alert.fingerprint] = occurrence
    for incident in ids:
        work.joined.setdefault(incident, []).append(occurrence)
    _expire_later(work, occurrence)
    return "unmatched" if found.taken is None or found.taken.is_catch_all else "new"


def _join(work: _Work, match: Match, occurrence_id: str, alert: Alert) -> str:
    """The incident that an occurrence belongs to by `match`: a live one, or a new one."""
    group = (match.rule.id, *match.group.items())
    key = work.correlations.get(group)
    if key is None:
        key = work.correlations[group] = correlation_key(match.rule.id, match.group)
    incident = work.tx.live_incident(key)
    if incident is None:
        incident = _start(work, match, key, occurrence_id, alert)
    elif incident.status == "resolved":
        incident = record(work.tx, incident, [events.IncidentReopened()], work.author)
        work.tx.cancel_task("tick", f"incident_close/{incident.id}")
    work.live[incident.id] = incident
    return incident.id


def _start(work: _Work, match: Match, key: str, occurrence_id: str, alert: Alert) -> Incident:
    event = opened_by(
        match,
        alert,
        incident=incident_id(key, occurrence_id),
        number=work.tx.next_incident_number(),
        partition_key=work.keys[alert.fingerprint],
    )
    incident = open_incident(work.tx, event, work.author)
    work.opened.append(incident)
    work.first_runs[incident.id] = first_run(incident, match, alert, work.catalog)
    return incident


def _end(work: _Work, occurrence: Occurrence) -> None:
    for incident in occurrence.incident_ids:
        work.ended.setdefault(incident, []).append(occurrence)


def _expire_later(work: _Work, occurrence: Occurrence) -> None:
    """A timer is a task row; each resend moves it."""
    if occurrence.expires_at is None:
        return
    alert = occurrence.alert
    work.tx.put_task(
        Task(
            kind="tick",
            key=f"occurrence_expiry/{alert.fingerprint}",
            not_before=occurrence.expires_at,
            priority=3,
            payload={"partition_key": work.keys[alert.fingerprint]},
        )
    )


def _take_tick(work: _Work, tick: Tick) -> None:
    if tick.timer == "occurrence_expiry":
        occurrence = work.latest.get(tick.subject)
        if (
            occurrence is None
            or not occurrence.is_open
            or occurrence.expires_at is None
            or occurrence.expires_at > tick.due_at
        ):
            return
        closed = replace(occurrence, ended_at=occurrence.expires_at, ended_by="expiry")
        work.latest[tick.subject] = work.touched[tick.subject] = closed
        _end(work, closed)
        return
    incident = work.live.get(tick.subject) or work.tx.incident(tick.subject)
    # It may have been reopened and resolved again since this timer was set.
    if (
        incident is not None
        and incident.status == "resolved"
        and incident.resolved_at is not None
        and incident.resolved_at + REOPEN_WITHIN <= tick.due_at
    ):
        work.live[incident.id] = record(work.tx, incident, [events.IncidentClosed()], work.author)


def _poison(tx: Tx, stream: str, each: Record, error: PayloadError) -> DeadLetter:
    return DeadLetter(
        id=dead_letter_id(each.value),
        source=f"{stream}/{each.partition}/{each.offset}",
        reason=cut(error.problem, BRIEF_LIMIT),
        field=cut(error.field, TITLE_LIMIT),
        body=each.value,
        first_at=tx.now,
        last_at=tx.now,
        record_key=each.key,
    )


def _write(work: _Work) -> None:
    """The batch's news, one entry per incident and kind, and the rows."""
    for incident_key in sorted({*work.joined, *work.ended}):
        incident = work.live.get(incident_key) or work.tx.incident(incident_key)
        if incident is None or incident.status == "closed":
            continue
        story: list[events.Event] = []
        if joined := work.joined.get(incident_key):
            story.append(_joined(joined))
        story.extend(work.first_runs.get(incident_key, ()))
        if ended := work.ended.get(incident_key):
            story.append(
                events.OccurrenceEnded(
                    occurrence_ids=tuple(o.id for o in ended),
                    by="expiry" if ended[0].ended_by == "expiry" else "source",
                )
            )
        incident = record(work.tx, incident, story, work.author)
        if incident.status == "open" and not incident.open_count:
            incident = record(work.tx, incident, [events.IncidentResolved()], work.author)
            if incident.run_id and incident.phase != "idle":
                work.tx.wake_task("run", incident.run_id)
        work.live[incident.id] = incident
    # Last, because these rows are the count of an incident that another release wrote.
    work.tx.put_occurrences(list(work.touched.values()))


def _joined(occurrences: Sequence[Occurrence]) -> events.OccurrenceJoined:
    ids = tuple(o.id for o in occurrences)
    told = [_summary(occurrence) for occurrence in occurrences[:ALERTS_IN_AN_ENTRY]]
    if size_of(told) > ALERTS_IN_AN_ENTRY_BYTES:
        sizes = accumulate(map(size_of, told))
        told = told[: sum(size <= ALERTS_IN_AN_ENTRY_BYTES for size in sizes)]
    return events.OccurrenceJoined(
        occurrence_ids=ids, digest=derived_id("occurrences", *ids), alerts=tuple(told)
    )


def _summary(occurrence: Occurrence) -> Mapping[str, JsonValue]:
    alert = occurrence.alert
    return {
        "name": alert.name,
        "labels": dict(alert.labels),
        "annotations": {**cut_texts(alert.annotations, BRIEF_LIMIT, ANNOTATIONS_TOLD)},
        "starts_at": occurrence.started_at.isoformat(),
        "source": alert.source,
        "links": list(alert.links),
    }
