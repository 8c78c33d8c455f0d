"""Records that are decided on ahead of those in front of them; their turn passes over them."""

from collections.abc import Sequence, Set
from dataclasses import dataclass

from engine.core.alert import Alert
from engine.core.catalog import Catalog
from engine.core.ids import sha256_hex
from engine.core.looking_ahead import Ahead
from engine.core.storm_brake import STORM_BRAKE
from engine.ports.store import Tx
from engine.ports.stream import Record
from engine.stages.deciding.batch import Decided, count, decide_on

# Of one partition; past it, what is grave waits until those in front have had their turn.
MAX_AHEAD = 500


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record, what it says, and why it may go ahead as far as the stream tells."""

    record: Record
    alert: Alert
    ahead: Ahead


@dataclass(frozen=True, slots=True)
class Sighted:
    """What was found far behind in a partition; there is at least one candidate.

    `in_front` are the subjects of the records from the position on that they would pass, in parts.
    """

    partition: int
    candidates: Sequence[Candidate]
    in_front: Sequence[Set[str]]


@dataclass(frozen=True, slots=True)
class DecidedAhead:
    """What it came to. `is_full`: some candidates are left, because so many are ahead already."""

    decided: Decided
    is_full: bool


def decide_ahead(
    tx: Tx, stream: str, sighted: Sighted, expected: int, catalog: Catalog
) -> DecidedAhead:
    """Decide on those candidates that may go ahead by what the store knows, too.

    The position stays at `expected`; raises FencedError when it isn't there.
    """
    partition = sighted.partition
    tx.advance(stream, partition, expected, expected)
    noted = tx.ahead.of_log(stream).get(partition, {})
    left = [each for each in sighted.candidates if each.record.offset not in noted]
    known = tx.occurrences(sorted({each.alert.fingerprint for each in left}))
    # What acts by itself must not pass the storm that would brake it.
    may_act = catalog.policy.storm_brake is None or tx.switches.find(STORM_BRAKE) is not None
    able = []
    for each in left:
        occurrence = known.get(each.alert.fingerprint)
        # A repeat changes nothing, so there is no hurry.
        is_news = occurrence is None or not occurrence.is_open
        is_safe = may_act or not each.ahead.acts
        if is_news and is_safe and _joins_freely(tx, each.ahead, sighted.in_front):
            able.append(each)
    taken = able[: max(0, MAX_AHEAD - len(noted))]
    decided = decide_on(tx, [(each.record.key, each.alert) for each in taken], catalog)
    tx.ahead.note(
        stream, partition, {each.record.offset: sha256_hex(each.record.value) for each in taken}
    )
    count(tx, stream, decided.dispositions)
    return DecidedAhead(decided, is_full=len(taken) < len(able))


def _joins_freely(tx: Tx, ahead: Ahead, in_front: Sequence[Set[str]]) -> bool:
    """Whether no timer in front is about an incident that it would join: it may close it."""
    live = (tx.live_incident(key) for key in ahead.correlations)
    ids = {incident.id for incident in live if incident is not None}
    return all(ids.isdisjoint(part) for part in in_front)
