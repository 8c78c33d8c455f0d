"""What really fires, as the source knows it; alerts about it may be late, and may be forged."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from typing_extensions import override

from engine.core.alert import Alert, Occurrence
from engine.core.json_value import Json
from engine.core.still_firing import Confirmation
from engine.errors import TransientError
from engine.ports.source import NOBODY, Admission, Parsed, Sender, Source
from tests.simulation.inline_store import CRASH
from tests.simulation.scheduler import Process, Scheduler

SILENT = "source does not answer"
FORGED = "alert forged"
SILENT_RATE = 0.15


@dataclass
class Truth:
    """The fingerprints that fire, and when each did last."""

    scheduler: Scheduler
    firing: set[str] = field(default_factory=set)
    ended_at: dict[str, datetime] = field(default_factory=dict)
    confirmed_at: datetime | None = None

    def said_so(self, seconds: float) -> bool:
        """Whether the source said of anything, lately, that it fires."""
        at = self.confirmed_at
        return at is not None and self.scheduler.at - at <= timedelta(seconds=seconds)

    def tell(self, alert: Alert) -> None:
        """From now on it fires, or it doesn't."""
        if alert.status == "firing":
            self.firing.add(alert.fingerprint)
        elif alert.fingerprint in self.firing:
            self.firing.discard(alert.fingerprint)
            self.ended_at[alert.fingerprint] = self.scheduler.at

    def fired_within(self, fingerprints: set[str], seconds: float) -> bool:
        """Whether one of them fires, or did so lately."""
        since = self.scheduler.at - timedelta(seconds=seconds)
        return any(
            each in self.firing or (each in self.ended_at and self.ended_at[each] >= since)
            for each in fingerprints
        )


@dataclass
class SimulatedSource(Source):
    """The Source port over the truth; only what runs ask of it is there."""

    truth: Truth
    process: Process
    name: str = "alertmanager"
    max_body_bytes: int = 0
    has_credentials: bool = False

    @override
    async def admit(self, sender: Sender, now: datetime) -> Admission:
        raise NotImplementedError

    @override
    def parse(self, body: Json, received_at: datetime, sender: Sender = NOBODY) -> Parsed:
        raise NotImplementedError

    @override
    async def still_firing(self, occurrence: Occurrence, now: datetime) -> Confirmation:
        scheduler = self.truth.scheduler
        fault = await scheduler.gate(self.process, "the source's answer", CRASH)
        if fault == CRASH:
            self.process.crash()
            raise asyncio.CancelledError
        if scheduler.chance(SILENT_RATE):
            scheduler.fault(SILENT, self.process.name)
            raise TransientError("no answer: simulated")
        fires = occurrence.alert.fingerprint in self.truth.firing
        if fires:
            self.truth.confirmed_at = scheduler.at
        answer = Confirmation("firing" if fires else "resolved", "source", "asked")
        # It comes a little later, and may be wrong by then.
        if scheduler.chance(0.1):
            await scheduler.sleep(self.process, 3.0)
        return answer
