"""The journal's entry: exact bytes, chained by hash, so that any change to the past shows.

    body_hash  = SHA-256(salt || body)
    entry_hash = SHA-256(canonical JSON of
        [chain, seq, prev_hash, kind, at_us, actor, catalog, body_hash])

The salt lets a body be erased while the chain stays verifiable.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from engine.core.events import EVENTS, Event
from engine.core.json_value import canonical_bytes
from engine.core.masking import NO_SECRETS, Masker
from engine.errors import PermanentError

GENESIS = "0" * 64
# Far above what any writer makes, who all cut what they were sent: it catches one that forgot to.
MAX_BODY_BYTES = 1024 * 1024
# The actor of what the engine decides by itself.
ENGINE = "engine"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SHORT = 4096


@dataclass(frozen=True, slots=True)
class NewEntry:
    """What a writer hands in; the store adds sequence, salt and hashes.

    `actor` is `engine`, `demo`, `local:<user>`, `slack:<team>/<user>`, …; `catalog` the version
    of the rules and playbooks that the decision was made with.
    """

    event: Event
    at: datetime
    actor: str = ENGINE
    catalog: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored entry; `at_us` is microseconds since 1970, UTC. `body` is None once erased."""

    chain: str
    seq: int
    prev_hash: str
    kind: str
    at_us: int
    actor: str
    catalog: str
    salt: bytes
    body: bytes | None
    body_hash: str
    entry_hash: str

    @property
    def at(self) -> datetime:
        """When it was written, by the store's clock."""
        return from_us(self.at_us)

    def event(self) -> Event | None:
        """The typed body; None when erased or of a kind that this version doesn't know."""
        return None if self.body is None else _event(self.kind, self.body)


def _event(kind: str, body: bytes) -> Event | None:
    return _short(kind, body) if len(body) <= _SHORT else _long(kind, body)


# A chain is folded again whenever something is told of it; a megabyte of bodies is the most.
@lru_cache(maxsize=256)
def _short(kind: str, body: bytes) -> Event | None:
    return _read(kind, body)


# What was just written is read back twice: as it is kept, and to fold it.
@lru_cache(maxsize=8)
def _long(kind: str, body: bytes) -> Event | None:
    return _read(kind, body)


def _read(kind: str, body: bytes) -> Event | None:
    model = EVENTS.get(kind)
    return None if model is None else model.model_validate_json(body)


def told(entries: Iterable[Entry]) -> list[tuple[Event, datetime, str]]:
    """(event, time, actor) of each, without those erased or unknown to this version."""
    return [(event, e.at, e.actor) for e in entries if (event := e.event()) is not None]


def to_us(at: datetime) -> int:
    """Integer microseconds since 1970 of an aware time."""
    return (at - _EPOCH) // _MICROSECOND


def from_us(at_us: int) -> datetime:
    """The aware UTC time of integer microseconds since 1970."""
    return _EPOCH + at_us * _MICROSECOND


def seal(
    new: NewEntry,
    chain: str,
    seq: int,
    prev_hash: str,
    salt: bytes,
    masker: Masker = NO_SECRETS,
) -> Entry:
    """The stored form of `new` as entry number `seq` (from 1) after `prev_hash` (GENESIS first).

    It holds no secret that `masker` knows. Raises PermanentError where its body is above
    MAX_BODY_BYTES.
    """
    values = new.event.model_dump(mode="json")
    body = canonical_bytes(values)
    if masker.found(body.decode()):
        body = canonical_bytes({key: masker.mask_values(each) for key, each in values.items()})
    if len(body) > MAX_BODY_BYTES:
        raise PermanentError(
            f"an entry {new.event.KIND} of {len(body)} bytes is refused, {MAX_BODY_BYTES} is the "
            f"most: chain {chain!r} stays as it is"
        )
    body_hash = hashlib.sha256(salt + body).hexdigest()
    kind, at_us = new.event.KIND, to_us(new.at)
    return Entry(
        chain=chain,
        seq=seq,
        prev_hash=prev_hash,
        kind=kind,
        at_us=at_us,
        actor=new.actor,
        catalog=new.catalog,
        salt=salt,
        body=body,
        body_hash=body_hash,
        entry_hash=_entry_hash(
            (chain, seq, prev_hash, kind, at_us, new.actor, new.catalog, body_hash)
        ),
    )


def _entry_hash(fields: tuple[str, int, str, str, int, str, str, str]) -> str:
    return hashlib.sha256(canonical_bytes(list(fields))).hexdigest()


@dataclass(frozen=True, slots=True)
class ChainFault:
    """The first place where a chain doesn't verify, and what is wrong there."""

    chain: str
    seq: int
    problem: str


def verify_chain(chain: str, entries: Iterable[Entry], head: tuple[int, str]) -> ChainFault | None:
    """Check order, links and hashes up to the recorded head (seq, entry_hash); None when sound."""
    prev_hash, expected = GENESIS, 1
    for entry in entries:
        problem = problem_of(entry, chain, expected, prev_hash)
        if problem:
            return ChainFault(chain, expected, problem)
        prev_hash, expected = entry.entry_hash, expected + 1
    if head != (expected - 1, prev_hash):
        return ChainFault(chain, expected, f"the chain should end at entry {head[0]}")
    return None


def problem_of(entry: Entry, chain: str, seq: int, prev_hash: str) -> str:
    """Why this isn't entry `seq` of the chain, after `prev_hash`, as it was sealed; "" if it is."""
    if entry.chain != chain:
        return f"belongs to chain {entry.chain!r}"
    if entry.seq != seq:
        return f"expected entry {seq}, found {entry.seq}"
    if entry.prev_hash != prev_hash:
        return "does not follow the entry before it"
    if (
        entry.body is not None
        and hashlib.sha256(entry.salt + entry.body).hexdigest() != entry.body_hash
    ):
        return "the body was changed"
    recomputed = _entry_hash(
        (
            entry.chain,
            entry.seq,
            entry.prev_hash,
            entry.kind,
            entry.at_us,
            entry.actor,
            entry.catalog,
            entry.body_hash,
        )
    )
    return "" if recomputed == entry.entry_hash else "the entry was changed"
