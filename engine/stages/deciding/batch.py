"""One batch of records becomes journal, projections, tasks and position, in one transaction.

    dedupe → classify → correlate → decide

Every record gets exactly one disposition, the first that fits of stale, repeat, resolved,
unmatched, suppressed, new (ticks and poison are counted as such): the counters are part of the
same transaction as the position, so that the balance holds after any crash. What is suppressed
waits, see engine.stages.deciding.admitting, and is asked again by a tick.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from engine.core.alert import Alert, Occurrence, receive, repeat
from engine.core.bounds import cut
from engine.core.catalog import Catalog
from engine.core.events.event import BRIEF_LIMIT, TITLE_LIMIT
from engine.core.ids import dead_letter_id, sha256_hex
from engine.core.incident import Incident
from engine.core.inventory import enrich
from engine.core.records import Tick, decode_record
from engine.core.retention import USUAL, Retention
from engine.errors import PayloadError
from engine.ports.keeping import keep_of_stream
from engine.ports.rows import DeadLetter
from engine.ports.store import Tx
from engine.ports.stream import Batch, Record
from engine.stages.deciding.acting import act
from engine.stages.deciding.braking import brake
from engine.stages.deciding.timers import expire_later, take_tick
from engine.stages.deciding.work import BatchWork, Disposition
from engine.stages.deciding.writing import settle, write

# Each is a line of the log; a rule that fails for one alert fails for all of a storm.
FAILURES_TOLD = 20


@dataclass(frozen=True, slots=True)
class Decided:
    """What a batch came to, for metrics and logs; `failures` of expressions, each once."""

    dispositions: Counter[Disposition]
    opened: tuple[Incident, ...]
    failures: tuple[str, ...]


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
    told: list[tuple[str, Alert | Tick]] = []
    poison: list[DeadLetter] = []
    for each in _in_turn(tx, stream, batch):
        try:
            told.append((each.key, decode_record(each.value)))
        except PayloadError as error:
            poison.append(_poison(tx, stream, each, error))
    decided = decide_on(tx, told, catalog)
    if poison:
        decided.dispositions["poison"] += len(poison)
    keep_of_stream(tx, poison, retention)
    count(tx, stream, decided.dispositions)
    return decided


def _in_turn(tx: Tx, stream: str, batch: Batch) -> Sequence[Record]:
    """Its records, without those that engine.stages.deciding.ahead has decided on."""
    ahead = tx.ahead.take(stream, batch.partition, batch.next_offset)
    # A log that was cut off may have given the offset to another record.
    return [
        each
        for each in batch.records
        if each.offset not in ahead or ahead[each.offset] != sha256_hex(each.value)
    ]


def decide_on(tx: Tx, told: Sequence[tuple[str, Alert | Tick]], catalog: Catalog) -> Decided:
    """Decide on what records say, each behind its record's key; nothing is counted."""
    work = _begun(tx, catalog, [value for _, value in told])
    for key, value in told:
        if work.settling:
            settle(work)
        at = value.received_at if isinstance(value, Alert) else value.due_at
        # Gateways' times differ a little; a decision is never before the one in front of it.
        work.decided_at = max(at, work.decided_at or at)
        match value:
            case Alert():
                # The inventory may name another service than the sender did; the order of the
                # fingerprint's records stays with the key under which they came.
                work.keys[value.fingerprint] = key
                work.dispositions[_take_alert(work, value)] += 1
            case Tick():
                take_tick(work, value, key)
                work.dispositions["tick"] += 1
    write(work)
    brake(work)
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
    count(tx, stream, dispositions)
    return Decided(dispositions, (), ())


def _begun(tx: Tx, catalog: Catalog, values: Sequence[Alert | Tick]) -> BatchWork:
    """With all that is known of what the records are about, read at once."""
    whole, expiring, fingerprints = set[str](), list[Alert](), set[str]()
    for value in values:
        if isinstance(value, Tick):
            whole.add(value.subject)
            continue
        fingerprints.add(value.fingerprint)
        if value.status != "firing":
            whole.add(value.fingerprint)
        elif value.expires_at is not None:
            expiring.append(value)
    latest, steady = tx.known(sorted(fingerprints | whole), whole)
    work = BatchWork(tx, catalog, dict(latest), dict(steady))
    # Only an expiry tells beforehand that the whole will be asked for, and often.
    renewed = {
        alert.fingerprint
        for alert in expiring
        if alert.fingerprint in steady and repeat(alert, steady[alert.fingerprint]) is None
    }
    if renewed:
        work.latest.update(tx.occurrences(sorted(renewed)))
    return work


def count(tx: Tx, stream: str, dispositions: Counter[Disposition]) -> None:
    """Each record has one disposition, so both sides of the balance are counted together."""
    decided = {f"disposition/{name}": n for name, n in dispositions.items()}
    tx.count({**decided, f"records/{stream}": dispositions.total()})


def _take_alert(work: BatchWork, alert: Alert) -> Disposition:
    current = work.latest.get(alert.fingerprint)
    if current is None and (steady := work.steady.get(alert.fingerprint)) is not None:
        again = repeat(alert, steady)
        if again is not None:
            work.steady[alert.fingerprint] = work.repeated[alert.fingerprint] = again
            return "repeat"
        current = work.occurrence(alert.fingerprint)
    if current is None or not current.is_open:
        alert = enrich(alert, work.catalog.inventory)
    notice = receive(alert, current, work.keys[alert.fingerprint])
    occurrence = notice.occurrence
    match notice.effect:
        case "opened":
            return _open(work, occurrence)
        case "resolved":
            work.end(occurrence)
            work.tx.cancel_task("tick", f"occurrence_expiry/{alert.fingerprint}")
        case "repeat":
            if occurrence.heard_by:
                occurrence, _ = act(work, occurrence, alert.received_at, "repeat")
            expire_later(work, occurrence, work.keys[alert.fingerprint])
            work.keep(occurrence)
        case "stale":
            work.keep(occurrence)
    return notice.effect


def _open(work: BatchWork, opened: Occurrence) -> Disposition:
    """Its alert is the one that opened it."""
    appeared = work.admitting.appears(opened)
    occurrence, found = act(work, appeared, opened.alert.received_at, "opened")
    work.keep(occurrence)
    expire_later(work, occurrence, occurrence.partition_key)
    if found.is_unmatched:
        return "unmatched"
    if not occurrence.held_by:
        return "new"
    takers = {match.rule.id for match in found.matches} - {m.rule.id for m in found.observed}
    return "suppressed" if takers <= set(occurrence.held_by) else "new"


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
