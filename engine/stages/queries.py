"""What anybody can ask, answered from the journal and its projections."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from engine.core import events
from engine.core.alert import Alert
from engine.core.audit_check import AuditCheck
from engine.core.audit_export import end_line, entry_line, format_line, head_line, told
from engine.core.checkpoint import CHAIN, Head, SignatureCheck
from engine.core.conditions import Hold
from engine.core.guards import Lock
from engine.core.incident import Incident, chain_of
from engine.core.journal import Entry
from engine.core.positions import PartitionState, state_of
from engine.core.silences import Silence
from engine.core.stops import Stop
from engine.core.storm_brake import STORM_BRAKE
from engine.core.switches import Switch
from engine.core.trust import Standing
from engine.errors import NotFoundError
from engine.ports.accepted_modes import waiting_raise
from engine.ports.commands import TIMELINE_PAGE, AuditReport, Balance, Timeline
from engine.ports.locking import all_locks
from engine.ports.reached import reached
from engine.ports.rows import ApprovalRow, DeadLetter, IncidentFilter
from engine.ports.store import Store, Tx
from engine.ports.stream import KeptStream
from engine.ports.trusting import standings_of

T = TypeVar("T")

# Together what one look at the journal holds in memory.
_CHAINS_AT_ONCE = 20
_ENTRIES_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class QueryStage:
    """The Queries port over the store and the stream.

    `bodies` gives received, appended and dead-lettered bodies since this process started;
    `spooled` gives how many records wait on this machine's disk until the stream is back; `keys`
    gives what checks the signatures of checkpoints, None where no key is at hand.
    """

    store: Store
    stream: KeptStream
    bodies: Callable[[], tuple[int, int, int]]
    spooled: Callable[[], int] = int
    keys: Callable[[], SignatureCheck | None] = lambda: None

    async def incidents(self, which: IncidentFilter) -> Sequence[Incident]:
        """Newest first."""
        return await self.store.read(lambda tx: tx.incidents(which))

    async def incident(self, prefix: str) -> Incident:
        """One incident by any unique prefix of its id, or by INC-12. Raises NotFoundError."""
        found = await self.store.read(lambda tx: tx.find_incidents(prefix))
        return _only(found, f"incident {prefix!r}")

    async def timeline(
        self, incident: str, *, after_seq: int = 0, limit: int = TIMELINE_PAGE
    ) -> Timeline:
        """Its chain behind `after_seq`, in order, a page of it."""
        chain = chain_of(incident)

        def work(tx: Tx) -> Timeline:
            page = tx.page(chain, after_seq=after_seq, limit=limit)
            return Timeline(page, more=bool(page) and page[-1].seq < tx.head(chain)[0])

        return await self.store.read(work)

    async def approval(self, prefix: str) -> ApprovalRow:
        """By a prefix of its id, its run's or its incident's, or by INC-12.

        Of several of one incident it is the one that can be decided, else the latest.
        """

        def work(tx: Tx) -> tuple[Sequence[ApprovalRow], Incident | None]:
            incidents = tx.find_incidents(prefix)
            incident = incidents[0] if len(incidents) == 1 else None
            return tx.find_approvals(incident.id if incident else prefix), incident

        found, incident = await self.store.read(work)
        if incident and not found:
            raise NotFoundError(f"nobody was asked to approve anything in {incident.name}")
        of_one = len({row.incident_id for row in found}) == 1
        return _only(found[:1] if of_one else found, f"approval {prefix!r}")

    async def stops(self) -> Sequence[Stop]:
        """All that are in force, oldest first."""
        return await self.store.read(lambda tx: tx.stops())

    async def trust(self) -> Sequence[Standing]:
        """How far each rule has earned trust, by environment."""
        return await standings_of(self.store)

    async def waiting(self, limit: int) -> Sequence[tuple[Alert, Hold]]:
        """The alerts that don't act by a rule yet, the latest first, and why."""

        def work(tx: Tx) -> Sequence[tuple[Alert, Hold]]:
            held = tx.conditions.held(limit)
            known = tx.occurrences(sorted({fingerprint for fingerprint, _ in held}))
            return [(known[each].alert, hold) for each, hold in held if each in known]

        return await self.store.read(work)

    async def silences(self) -> Sequence[Silence]:
        """Those that people set and that haven't ended, by when they end."""
        return await self.store.read(lambda tx: tx.silences.current())

    async def locks(self) -> Sequence[Lock]:
        """Every target that a run keeps others from changing, oldest first."""
        return await self.store.read(all_locks)

    async def raises(self) -> tuple[events.ModesRaised, str] | None:
        """What waits for a second person, and who activated it; None where nothing does."""
        return await self.store.read(waiting_raise)

    async def brake(self) -> Switch | None:
        """The storm brake, None while it is off."""
        return await self.store.read(lambda tx: tx.switches.find(STORM_BRAKE))

    async def balance(self) -> Balance:
        """Every record accounted for; `waiting` are spooled ones and those behind the position."""
        # First, so that a record that is moved meanwhile is counted twice rather than missed.
        spooled = self.spooled()
        ends = await self.stream.end_offsets()

        log = self.stream.name

        def work(tx: Tx) -> tuple[Mapping[str, int], int]:
            return tx.counters(), sum(each.waiting for each in reached(tx, log, ends).values())

        counters, behind = await self.store.read(work)
        dispositions = {
            name.removeprefix("disposition/"): n
            for name, n in sorted(counters.items())
            if name.startswith("disposition/")
        }
        # Of earlier streams too, because dispositions aren't told apart by stream.
        records = sum(n for name, n in counters.items() if name.startswith("records/"))
        received, appended, dead_lettered = self.bodies()
        waiting = behind + spooled
        return Balance(
            dispositions=dispositions,
            records=records + waiting,
            waiting=waiting,
            bodies_received=received,
            bodies_appended=appended,
            bodies_dead_lettered=dead_lettered,
            difference=records - sum(dispositions.values()),
        )

    async def positions(self) -> Sequence[PartitionState]:
        """By partition; what was appended meanwhile may be missing at the end."""
        first, end = await self.stream.first_offsets(), await self.stream.end_offsets()
        log = self.stream.name
        stored = await self.store.read(lambda tx: tx.positions(log))
        return [state_of(log, p, stored.get(p, {}), first[p], end[p]) for p in sorted(end)]

    async def verify_audit(self) -> AuditReport:
        """Check every chain from its first entry to its recorded head, and every checkpoint."""
        audit = AuditCheck(self.keys())
        async for head, entries in self._journal():
            if head is not None:
                audit.begin(*head)
            for entry in entries:
                audit.entry(entry)
        outcome = audit.end()
        return AuditReport(
            chains=outcome.chains,
            entries=outcome.entries,
            faults=tuple(map(told, outcome.faults)),
            notes=outcome.notes,
            checkpoints=outcome.checkpoints,
            verified_checkpoint=outcome.verified,
            verified_at=outcome.verified_at,
            uncovered=outcome.uncovered,
        )

    async def export_audit(self) -> AsyncIterator[bytes]:
        """The whole journal, line by line, however long it is."""
        chains = total = 0
        yield format_line()
        async for head, entries in self._journal():
            if head is not None:
                chains += 1
                yield head_line(*head)
            for entry in entries:
                yield entry_line(entry)
            total += len(entries)
        yield end_line(chains, total)

    async def _journal(self) -> AsyncIterator[tuple[Head | None, Sequence[Entry]]]:
        """Each chain's head with its first entries, and more of its entries without a head.

        Chain `system` first: what its checkpoints name was there before they were, so it is
        found in chains that are read later, whatever is appended meanwhile.
        """
        system = await self.store.read(lambda tx: _begun(tx, {CHAIN: tx.head(CHAIN)}))
        async for each in self._continued(system):
            yield each
        after = ""
        while True:
            heads, others = await self.store.read(partial(_look, after=after))
            if not heads:
                return
            async for each in self._continued(others):
                yield each
            after = max(heads)

    async def _continued(
        self, begun: Sequence[tuple[Head, Sequence[Entry]]]
    ) -> AsyncIterator[tuple[Head | None, Sequence[Entry]]]:
        """With the rest of each long chain, up to the head that was seen."""
        for head, entries in begun:
            yield head, entries
            chain, last, _ = head
            page = entries
            while page and page[-1].seq < last:
                page = await self.store.read(partial(_page, chain=chain, after_seq=page[-1].seq))
                yield None, [entry for entry in page if entry.seq <= last]

    async def dead_letters(
        self, limit: int, *, waiting: bool = False, after: str = ""
    ) -> Sequence[DeadLetter]:
        """Newest first, the beginning of each; `after` is the id of the last one before them."""
        return await self.store.read(
            lambda tx: tx.dead_letters(limit, waiting=waiting, after=after)
        )

    async def dead_letter(self, prefix: str) -> DeadLetter:
        """One, whole, by any unique prefix of its id. Raises NotFoundError."""
        found = await self.store.read(lambda tx: tx.find_dead_letters(prefix))
        return _only(found, f"dead letter {prefix!r}", "quell dead-letters list")


def _look(
    tx: Tx, after: str
) -> tuple[Mapping[str, tuple[int, str]], Sequence[tuple[Head, Sequence[Entry]]]]:
    heads = tx.heads(after=after, limit=_CHAINS_AT_ONCE)
    return heads, _begun(tx, {chain: head for chain, head in heads.items() if chain != CHAIN})


def _begun(tx: Tx, heads: Mapping[str, tuple[int, str]]) -> Sequence[tuple[Head, Sequence[Entry]]]:
    found = [(chain, seq, entry_hash) for chain, (seq, entry_hash) in heads.items() if seq]
    return [(head, _page(tx, head[0], 0)) for head in found]


def _page(tx: Tx, chain: str, after_seq: int) -> Sequence[Entry]:
    return tx.page(chain, after_seq=after_seq, limit=_ENTRIES_AT_ONCE)


def _only(found: Sequence[T], what: str, listing: str = "quell incidents") -> T:
    if not found:
        raise NotFoundError(f"there is no {what}; `{listing}` lists them")
    if len(found) > 1:
        raise NotFoundError(f"{what} isn't unique; give more of it")
    return found[0]
