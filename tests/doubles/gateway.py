"""A gateway over in-memory intake, commands and queries, in this loop or behind a real socket."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override

from connectors.sources.alertmanager import AlertmanagerConfig, AlertmanagerSource
from engine.core.alert import Alert
from engine.core.conditions import Hold
from engine.core.events import Decision, IncidentAcknowledged, ModesRaised
from engine.core.guards import Lock, Reservation
from engine.core.incident import Incident
from engine.core.journal import GENESIS, NewEntry, seal
from engine.core.json_value import Json
from engine.core.positions import PartitionState
from engine.core.severity import Mode, Severity
from engine.core.silences import Silence
from engine.core.stops import Stop, StopScope
from engine.core.switches import Switch
from engine.core.trust import Standing
from engine.errors import NotFoundError
from engine.gateway.app import build_gateway
from engine.gateway.parts import GatewayParts
from engine.ports.commands import (
    TIMELINE_PAGE,
    AuditReport,
    Balance,
    By,
    Commands,
    Decided,
    Intake,
    Queries,
    Timeline,
    WantedSilence,
)
from engine.ports.metrics import Metrics
from engine.ports.rows import ApprovalRow, DeadLetter, IncidentFilter
from engine.ports.source import Rejected
from tests.doubles.fixed_clock import NOW, FixedClock
from tests.doubles.gateway_orders import (
    BRAKE,
    LETTERS,
    POSITIONS,
    RAISED,
    MemoryChanges,
    MemoryReplays,
    MemoryRepositions,
    MemorySwitches,
)

TOKEN = "t0ken"
HOLDER = By(actor="local:token", via="api", roles=frozenset({"admin"}))
START_DEADLINE_S = 10.0


@dataclass
class MemoryIntake(Intake):
    """Keeps what it is given; `fault` is raised instead."""

    alerts: list[Alert] = field(default_factory=list)
    truncated: int = 0
    letters: list[Rejected] = field(default_factory=list)
    accepts: int = 0
    fault: Exception | None = None
    letter_fault: Exception | None = None

    @override
    async def accept(self, source: str, alerts: Sequence[Alert], truncated: int) -> None:
        if self.fault is not None:
            raise self.fault
        self.accepts += 1
        self.alerts.extend(alerts)
        self.truncated += truncated

    @override
    async def dead_letter(self, source: str, rejected: Sequence[Rejected]) -> Sequence[str]:
        if self.letter_fault is not None:
            raise self.letter_fault
        first = len(self.letters)
        self.letters.extend(rejected)
        return [f"letter-{first + place}" for place in range(len(rejected))]


def incident(number: int) -> Incident:
    return Incident(
        id=f"incident{number}",
        number=number,
        correlation_key=f"key{number}",
        partition_key="llm-70b",
        rule_id="vllm-not-answering",
        severity=Severity.P1,
        title="llm-70b does not answer",
        mode=Mode.APPROVE,
        service="llm-70b",
        environment="production",
        team="inference",
        group={"service": "llm-70b"},
        opened_at=NOW,
        updated_at=NOW,
        open_count=1,
    )


APPROVAL = ApprovalRow(
    id="approval1",
    run_id="run1",
    incident_id="incident1",
    plan_hash="hash1",
    ask=("role:oncall",),
    state="pending",
    requested_at=NOW,
    expires_at=NOW,
)

STOP = Stop("rule", "slow", "local:me", "a drill", NOW)
LOCK = Lock(
    Reservation("run1", "gpu-07", "restart", "down", "llm-70b", "incident1", "INC-1", NOW),
    kept=True,
)

SILENCE = Silence("silence1", ("service=llm",), NOW, NOW, "local:me", "a drill")


@dataclass
class MemoryCommands(Commands):
    """Records each order; `fault` is raised instead."""

    orders: list[tuple[object, ...]] = field(default_factory=list)
    fault: Exception | None = None
    accepted: bool = True

    def _note(self, *order: object) -> Incident:
        if self.fault is not None:
            raise self.fault
        self.orders.append(order)
        return incident(7)

    @override
    async def decide(
        self, approval: str, decision: Decision, *, plan_hash: str, by: By, reason: str = ""
    ) -> Decided:
        self._note("decide", approval, decision, plan_hash, by, reason)
        row = replace(
            APPROVAL,
            state="approved" if decision == "approved" else "rejected",
            decided_at=NOW,
            actor=by.actor,
        )
        return Decided(row, f"{decision} by {by.actor}", accepted=self.accepted)

    @override
    async def run_playbook(
        self,
        playbook: str,
        parameters: Mapping[str, Json],
        *,
        by: By,
        reason: str = "",
        dry_run: bool = False,
    ) -> Incident:
        order = "dry run" if dry_run else "run"
        return self._note(order, playbook, dict(parameters), by, reason)

    @override
    async def acknowledge(self, incident_id: str, *, by: By, note: str = "") -> Incident:
        self._note("acknowledge", incident_id, by, note)
        return replace(incident(1), acknowledged_at=NOW)

    @override
    async def cancel_run(self, run: str, *, by: By, reason: str = "") -> None:
        self._note("cancel", run, by, reason)

    @override
    async def roll_back(self, run: str, *, by: By, reason: str = "") -> Incident:
        return self._note("roll_back", run, by, reason)

    @override
    async def keep(self, run: str, *, by: By, reason: str) -> Incident:
        return self._note("keep", run, by, reason)

    @override
    async def stop(
        self, scope: StopScope, name: str = "", *, by: By, reason: str
    ) -> Sequence[Stop]:
        self._note("stop", scope, name, by, reason)
        return [Stop(scope, name, by.actor, reason, NOW)]

    @override
    async def resume(
        self, scope: StopScope, name: str = "", *, by: By, reason: str = ""
    ) -> Sequence[Stop]:
        self._note("resume", scope, name, by, reason)
        return [STOP]

    @override
    async def answer(
        self, run: str, choice: str, *, by: By, step: str = "", reason: str = ""
    ) -> None:
        self._note("answer", run, choice, by, step, reason)

    @override
    async def judge(
        self, incident: str, verdict: Literal["right", "wrong"], *, by: By, reason: str = ""
    ) -> None:
        self._note("judge", incident, verdict, by, reason)

    @override
    async def silence(self, wanted: WantedSilence, *, by: By) -> Silence:
        self._note("silence", wanted, by)
        return SILENCE

    @override
    async def end_silence(self, silence: str, *, by: By, reason: str = "") -> Silence:
        self._note("end_silence", silence, by, reason)
        return SILENCE

    @override
    async def try_again(
        self, playbook: str, target: str = "", *, by: By, reason: str = ""
    ) -> Sequence[str]:
        self._note("try", playbook, target, by, reason)
        return ["INC-7"]

    @override
    async def release_lock(self, target: str, *, by: By, reason: str = "") -> Sequence[Lock]:
        self._note("release", target, by, reason)
        return [LOCK]


@dataclass
class MemoryQueries(Queries):
    """Five incidents, one approval; `fault` is raised instead."""

    fault: Exception | None = None

    @override
    async def incidents(self, which: IncidentFilter) -> Sequence[Incident]:
        if self.fault is not None:
            raise self.fault
        numbers = range(5, 0, -1)
        found = [n for n in numbers if which.before_number is None or n < which.before_number]
        if which.status not in ("", "open") or which.service not in ("", "llm-70b"):
            return []
        return [incident(n) for n in found[: which.limit]]

    @override
    async def incident(self, prefix: str) -> Incident:
        if prefix not in ("incident1", "INC-1"):
            raise NotFoundError(f"no incident {prefix!r}")
        return incident(1)

    @override
    async def timeline(
        self, incident_id: str, *, after_seq: int = 0, limit: int = TIMELINE_PAGE
    ) -> Timeline:
        new = NewEntry(IncidentAcknowledged(note="looking"), NOW, actor="slack:T1/U1")
        entry = seal(new, f"incident/{incident_id}", 1, GENESIS, b"salt")
        behind = [
            each for each in (entry, replace(entry, seq=2, body=None)) if each.seq > after_seq
        ]
        return Timeline(behind[:limit], more=len(behind) > limit)

    @override
    async def approval(self, prefix: str) -> ApprovalRow:
        if prefix not in ("approval1", "run1", "incident1"):
            raise NotFoundError(f"no request for approval {prefix!r}")
        return APPROVAL

    @override
    async def stops(self) -> Sequence[Stop]:
        return [STOP]

    @override
    async def trust(self) -> Sequence[Standing]:
        return []

    @override
    async def waiting(self, limit: int) -> Sequence[tuple[Alert, Hold]]:
        return []

    @override
    async def silences(self) -> Sequence[Silence]:
        return [SILENCE]

    @override
    async def locks(self) -> Sequence[Lock]:
        return [LOCK]

    @override
    async def brake(self) -> Switch | None:
        return BRAKE

    @override
    async def raises(self) -> tuple[ModesRaised, str] | None:
        return RAISED, "local:me"

    @override
    async def balance(self) -> Balance:
        return Balance({"new": 2, "repeat": 1}, 3, 0, 2, 1, 1, 0)

    @override
    async def positions(self) -> Sequence[PartitionState]:
        return POSITIONS

    @override
    async def verify_audit(self) -> AuditReport:
        return AuditReport(chains=2, entries=9, faults=())

    @override
    async def export_audit(self) -> AsyncIterator[bytes]:
        for line in (b"one\n", b"two\n"):
            yield line

    @override
    async def dead_letters(
        self, limit: int, *, waiting: bool = False, after: str = ""
    ) -> Sequence[DeadLetter]:
        kept = [each for each in LETTERS if not waiting or each.replayed_at is None]
        return [each for each in kept if each.id > after][:limit]

    @override
    async def dead_letter(self, prefix: str) -> DeadLetter:
        for letter in LETTERS:
            if letter.id == prefix:
                return letter
        raise NotFoundError(f"no dead letter {prefix!r}")


async def all_ready() -> list[str]:
    return []


def gateway_parts(*sources: AlertmanagerSource, loopback: bool = True) -> GatewayParts:
    """Parts with everything well; `dataclasses.replace` changes what a test is about."""
    used = sources or (AlertmanagerSource(AlertmanagerConfig()),)
    return GatewayParts(
        sources={"alertmanager": used, **{source.name: (source,) for source in sources}},
        intake=MemoryIntake(),
        commands=MemoryCommands(),
        queries=MemoryQueries(),
        replays=MemoryReplays(),
        repositions=MemoryRepositions(),
        switches=MemorySwitches(),
        changes=MemoryChanges(),
        clock=FixedClock(),
        authenticate={TOKEN: HOLDER}.get,
        loopback=loopback,
        ready=all_ready,
        warnings=all_ready,
        alive=list,
        metrics=Metrics(),
        version="1.2.3",
    )


@contextmanager
def served(parts: GatewayParts) -> Iterator[int]:
    """The gateway on a free loopback port, as production serves it, in a thread of its own."""
    with served_app(build_gateway(parts)) as port:
        yield port


@contextmanager
def served_app(app: ASGIApp) -> Iterator[int]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="off", log_config=None, http="httptools", ws="none")
    server = uvicorn.Server(config)
    ready = threading.Event()

    async def serve() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listener]))
            while not server.started:
                await asyncio.sleep(0.01)
            ready.set()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        if not ready.wait(START_DEADLINE_S):
            raise TimeoutError(f"uvicorn did not start within {START_DEADLINE_S} s")
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(START_DEADLINE_S)
        listener.close()
