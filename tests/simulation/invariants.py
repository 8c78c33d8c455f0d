"""The invariants of the design that the simulator checks, after every commit and every effect."""

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.core import events
from engine.core.actions import Repeat
from engine.core.alert import Alert
from engine.core.audit_check import AuditCheck
from engine.core.catalog import Catalog
from engine.core.checkpoint import CHAIN
from engine.core.journal import ENGINE, GENESIS, Entry, problem_of
from engine.core.plan import AFTER_CANCEL, Plan
from engine.core.records import decode_record
from engine.errors import PayloadError
from engine.ports.commands import By
from engine.ports.rows import IncidentFilter
from engine.ports.store import Tx
from engine.store.tx import SqlTx
from tests.simulation.asking_invariants import AskingInvariants
from tests.simulation.clearance_invariants import ClearanceInvariants
from tests.simulation.expecting_invariants import ExpectingInvariants
from tests.simulation.following_invariants import FollowingInvariants
from tests.simulation.guard_invariants import GuardInvariants
from tests.simulation.inline_store import Database
from tests.simulation.outside import PARTITIONS, REPEATS, Landed, Log, Target
from tests.simulation.people import Office
from tests.simulation.plan_invariants import PlanInvariants
from tests.simulation.scheduler import Scheduler
from tests.simulation.secrets import SecretInvariants
from tests.simulation.sizes import SizeInvariants
from tests.simulation.source import Truth

DECIDED_AHEAD = "decided ahead"
_AHEAD = "SELECT partition, record_offset FROM decided_ahead"
_POSITIONS = "SELECT partition, next_offset FROM positions"
_COUNTERS = "SELECT name, sum(value) FROM counters GROUP BY name"
GRACE = timedelta(seconds=5)


@dataclass
class _Run:
    mode: str
    plan_hash: str = ""
    approvals: set[str] = field(default_factory=set)
    cancelled_by: str = ""
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class _Intent:
    event: events.AttemptIntended
    at: datetime

    @property
    def step(self) -> tuple[str, str, str]:
        return self.event.run_id, self.event.phase, self.event.step_id


@dataclass
class Invariants:
    """An independent reading of the journal, beside the target's own count."""

    scheduler: Scheduler
    database: Database
    log: Log
    target: Target
    truth: Truth
    office: Office
    deciders: frozenset[str]
    catalog: Catalog
    kinds: Counter[str] = field(default_factory=Counter)
    runs: dict[str, _Run] = field(default_factory=dict)
    triggers: dict[str, str] = field(default_factory=dict)
    live: dict[str, str] = field(default_factory=dict)
    intents: list[_Intent] = field(default_factory=list)
    ended: dict[str, events.AttemptEnded] = field(default_factory=dict)
    undone: set[str] = field(default_factory=set)
    stopped: set[str] = field(default_factory=set)
    heads: dict[str, tuple[int, str]] = field(default_factory=dict)
    effects: dict[tuple[str, str, str], list[Landed]] = field(default_factory=dict)
    guards: GuardInvariants = field(init=False)
    clearance: ClearanceInvariants = field(init=False)
    plans: PlanInvariants = field(init=False)
    following: FollowingInvariants = field(init=False)
    asking: AskingInvariants = field(init=False)
    expecting: ExpectingInvariants = field(init=False)
    secrets: SecretInvariants = field(init=False)
    sizes: SizeInvariants = field(init=False)
    ahead: set[tuple[int, int]] = field(default_factory=set)
    positions: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(PARTITIONS), 0))

    def __post_init__(self) -> None:
        self.clearance = ClearanceInvariants(self.truth, self._broken)
        self.plans = PlanInvariants(self._broken)
        self.following = FollowingInvariants(self._broken)
        inventory, policy = self.catalog.inventory, self.catalog.policy
        self.guards = GuardInvariants(self._broken, inventory, policy)
        self.asking = AskingInvariants(self._broken, self.deciders, inventory, policy.storm_brake)
        self.expecting = ExpectingInvariants(self._broken, self.database, inventory)
        self.secrets = SecretInvariants(self.database, self.office, self._broken)
        self.sizes = SizeInvariants(self.database, self._broken)

    def after_commit(self, appended: Sequence[Entry]) -> None:
        """Check what this transaction left behind."""
        self._account()
        self.sizes.read(appended)
        if appended:
            self._told(appended)
        self.expecting.after_commit()

    def _told(self, appended: Sequence[Entry]) -> None:
        tx = SqlTx(self.database.connection, lambda: self.scheduler.at, reading=True)
        for chain in dict.fromkeys(entry.chain for entry in appended):
            self._chain(tx, chain)
        self.secrets.read(appended)
        told = [(entry, entry.event()) for entry in appended]
        for entry, event in told:
            self.kinds[entry.kind] += 1
            if event is not None:
                self._read(event, entry)
                self.guards.read(event, entry.chain, entry.at)
                self.clearance.read(event, entry.chain, entry.at)
                self.plans.read(event, entry.at, entry.actor)
                self.asking.read(event, entry)
                self.expecting.read(event, entry.at)
        self.following.read(told)
        self.asking.after_commit()

    def _account(self) -> None:
        self.positions.update(self.database.rows(_POSITIONS))
        counters = dict(self.database.rows(_COUNTERS))
        decided = sum(n for name, n in counters.items() if name.startswith("disposition/"))
        ahead = set(self.database.rows(_AHEAD))
        self.scheduler.counts[DECIDED_AHEAD] += len(ahead - self.ahead)
        self.ahead = ahead
        moved = sum(self.positions.values()) + len(ahead)
        if not decided == moved == counters.get("records/memory", 0):
            self._broken(1, f"{moved} records were passed, {decided} dispositions were counted")

    def _chain(self, tx: Tx, chain: str) -> None:
        seq, prev_hash = self.heads.get(chain, (0, GENESIS))
        for entry in tx.entries(chain, after_seq=seq):
            problem = problem_of(entry, chain, seq + 1, prev_hash)
            if problem:
                self._broken(8, f"{chain}: {problem}")
            seq, prev_hash = entry.seq, entry.entry_hash
        if tx.head(chain) != (seq, prev_hash):
            self._broken(8, f"{chain} should end at {tx.head(chain)[0]}, and ends at {seq}")
        self.heads[chain] = seq, prev_hash

    def _read(  # noqa: C901 - one case a kind of event is the simplest form
        self, event: events.Event, entry: Entry
    ) -> None:
        incident = entry.chain.removeprefix("incident/")
        run_id = getattr(event, "run_id", "")
        match event:
            case events.IncidentOpened():
                key = f"{event.rule_id} {sorted(event.group.items())}"
                if key in self.live.values():
                    self._broken(2, f"a second live incident of {key}")
                self.live[incident] = key
            case events.IncidentClosed():
                self.live.pop(incident, None)
            case events.RunCreated():
                if self.triggers.setdefault(event.trigger, run_id) != run_id or run_id in self.runs:
                    self._broken(3, f"trigger {event.trigger} started a second run")
                self.runs[run_id] = _Run(event.mode)
            case events.RunPlanned():
                run = self.runs[run_id]
                run.mode, run.plan_hash = event.mode, event.plan_hash
                if Plan.model_validate_json(event.plan).run_id != run_id:
                    self._broken(6, f"the plan of {run_id} is another run's")
            case events.ApprovalDecided() if event.decision == "approved":
                if entry.actor in self.deciders:
                    self.runs[run_id].approvals.add(event.plan_hash)
            case events.AttemptIntended():
                self._intended(_Intent(event, entry.at))
            case events.AttemptEnded():
                self.ended[event.attempt_id] = event
                if not event.begun and self.target.knows(event.attempt_id):
                    self._broken(5, f"{event.step_id} began, and the journal says that it didn't")
            case events.AttemptProbed() if event.answer == "not_done":
                self.undone.add(event.attempt_id)
            case events.RunCancelled():
                self.runs[run_id].cancelled_by = entry.actor
            case events.RunEnded():
                run = self.runs[run_id]
                self._nothing_under_way(run_id, entry.at, "has ended")
                if run.outcome or not event.reason:
                    self._broken(13, f"run {run_id} ended twice, or without a reason")
                run.outcome = event.outcome
            case events.StopOrdered():
                self.stopped.add(event.scope)
            case events.StopLifted():
                self.stopped.discard(event.scope)
            case _:
                pass

    def _intended(self, intent: _Intent) -> None:
        run = self.runs[intent.event.run_id]
        # A person's word ends the plan, and then begins the way back; the engine's is a stop's.
        goes_back = run.cancelled_by != ENGINE and intent.event.phase in AFTER_CANCEL
        if run.outcome or self.stopped or (run.cancelled_by and not goes_back):
            self._broken(12, f"an intent of {intent.step} after its end was committed")
        if intent.event.phase in AFTER_CANCEL:
            self._nothing_under_way(intent.event.run_id, intent.at, f"does {intent.step}")
        earlier = [each for each in self.intents if each.step == intent.step]
        self.intents.append(intent)
        if not earlier:
            return
        last = earlier[-1]
        ended = self.ended.get(last.event.attempt_id)
        if ended is not None and not ended.begun:
            return
        if intent.at < events.moment(last.event.not_after) + GRACE:
            self._broken(5, f"{intent.step} is repeated while it may be under way")

    def _nothing_under_way(self, run_id: str, at: datetime, does: str) -> None:
        """Nothing is undone, and no target let go of, beside what may still change it."""
        for each in self.intents:
            if each.event.run_id != run_id:
                continue
            ended = self.ended.get(each.event.attempt_id)
            is_over = ended is not None and (ended.outcome != "unknown" or not ended.begun)
            if not is_over and at < events.moment(each.event.not_after) + GRACE:
                self._broken(5, f"run {run_id} {does} while {each.step} may be under way")

    def after_effect(self, effect: Landed) -> None:
        """Check what the target has just seen."""
        intent = self._intent(effect.attempt_id)
        if intent is None:
            self._broken(4, f"{effect.what} on {effect.host} without an intent")
            return
        if effect.at > events.moment(intent.event.not_after):
            self._broken(5, f"{effect.what} took effect after its bound")
        run = self.runs[intent.event.run_id]
        if run.mode != "auto" and run.plan_hash not in run.approvals:
            self._broken(6, f"{effect.what} on {effect.host} without an approval of its plan")
        again = self.effects.setdefault(intent.step, [])
        again.append(effect)
        if len(again) > 1 and REPEATS[effect.what] is not Repeat.HARMLESS:
            self._broken(5, f"{effect.what} on {effect.host} was done {len(again)} times")

    def before_probe(self, attempt_id: str) -> None:
        """Check that nobody looks too early."""
        intent = self._intent(attempt_id)
        if intent is None:
            self._broken(4, "a probe without an intent")
        elif self.scheduler.at < events.moment(intent.event.not_after) + GRACE:
            self._broken(5, f"{intent.step} is probed while it may be under way")

    def _intent(self, attempt_id: str) -> _Intent | None:
        """The latest of this id: a keyed change has the same one at every attempt."""
        found = [each for each in self.intents if each.event.attempt_id == attempt_id]
        return found[-1] if found else None

    def acknowledged(self, key: str, value: bytes) -> None:
        """Check that what a sender was promised is there."""
        if not any(r.key == key and r.value == value for p in self.log.records for r in p):
            self._broken(1, "an acknowledged alert is not in the stream")

    def at_rest(self) -> None:
        """Check what holds once things have calmed down: all is decided, every run has ended."""
        tx = SqlTx(self.database.connection, lambda: self.scheduler.at, reading=True)
        for partition, records in enumerate(self.log.records):
            if tx.position("memory", partition) != len(records):
                self._broken(1, f"partition {partition} is not decided on to its end")
        for run_id, run in self.runs.items():
            if not run.outcome:
                self._broken(13, f"run {run_id} never ends")
        self.secrets.at_rest()
        self.following.at_rest()
        self.expecting.at_rest(self._dispositions())
        self._shown(tx)
        check = AuditCheck()
        # As an export is ordered: checkpoints come before what they name.
        for chain, head in sorted(tx.heads().items(), key=lambda each: (each[0] != CHAIN, each)):
            check.begin(chain, *head)
            for entry in tx.entries(chain):
                check.entry(entry)
        for fault in check.end().faults:
            self._broken(8, f"{fault.chain}#{fault.seq}: {fault.problem}")

    def _shown(self, tx: Tx) -> None:
        """People read in the end what became of each run, and of one ticket an incident."""
        for incident in tx.incidents(IncidentFilter(limit=1000)):
            ref = f"chat/{incident.id}"
            shown = self.office.messages.get(ref)
            if ref in self.office.shown_by and self.office.shown_by[ref].dead:
                continue  # held up, it showed what was old, and died before it could mend that
            if incident.notify and (shown is None or shown.outcome != incident.outcome):
                told = "nothing" if shown is None else shown.outcome or "no end"
                self._broken(13, f"{incident.name}: {incident.outcome!r} ended, {told} was told")
        for key, tickets in self.office.tickets.items():
            if len(tickets) > 1:
                self._broken(10, f"{key} has the tickets {tickets}")

    def _dispositions(self) -> Set[str]:
        """Judge each record once more, by the little that these senders do; what fires now."""
        expected: Counter[str] = Counter()
        firing: set[str] = set()
        newest: dict[str, datetime] = {}
        ended: dict[str, datetime] = {}
        for alert in self._alerts():
            if alert is None:
                expected["poison"] += 1
                continue
            of, at = alert.fingerprint, alert.received_at
            known = of in firing
            if at < newest.get(of, at) or (not known and alert.starts_at < ended.get(of, at)):
                expected["stale"] += 1  # overtaken by a newer notice, of another sender
                continue
            newest[of] = at
            if alert.status == "firing":
                first = "unmatched" if alert.name == "Odd" else "new"
                expected["repeat" if known else first] += 1
                firing.add(of)
            else:
                expected["resolved" if known else "stale"] += 1
                firing.discard(of)
                ended[of] = at
        counted = Counter(dict(self.database.rows(_COUNTERS)))
        if self.expecting.runs:
            counted["disposition/new"] += counted["disposition/suppressed"]
        for name, number in expected.items():
            found = counted[f"disposition/{name}"]
            if found != number:
                self._broken(1, f"{found} of {number} records were counted as {name}")
        return firing

    def _alerts(self) -> Iterator[Alert | None]:
        """None for what nobody understands."""
        for record in (record for records in self.log.records for record in records):
            try:
                value = decode_record(record.value)
            except PayloadError:
                yield None
            else:
                if isinstance(value, Alert):
                    yield value

    def _broken(self, number: int, text: str) -> None:
        self.scheduler.violate(f"invariant {number}: {text}")


ONCALL = By("slack:T1/U1", "slack", frozenset({"oncall"}))
STRANGER = By("slack:T1/U9", "slack")
# Who changed the files, and who looks at that change.
EDITOR = By("local:quell", "cli", frozenset({"admin"}))
SECOND = By("token:bea", "api", frozenset({"oncall"}))
