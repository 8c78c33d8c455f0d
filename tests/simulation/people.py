"""Where people read: a chat and a tracker that answer late, twice or never."""

import asyncio
from dataclasses import dataclass, field

from engine.core.incident_view import IncidentView
from engine.errors import OutcomeUnknownError, TransientError
from engine.ports.tracker import Ticket, TicketDraft
from tests.simulation.inline_store import CRASH
from tests.simulation.scheduler import Process, Scheduler

CHAT_AWAY = "chat away"
TRACKER_AWAY = "tracker away"
LOST_TICKET = "ticket made without an answer"


@dataclass
class Office:
    """What has arrived there, over all processes."""

    scheduler: Scheduler
    messages: dict[str, IncidentView] = field(default_factory=dict)
    shown_by: dict[str, Process] = field(default_factory=dict)
    tickets: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Chat:
    """The Notifier port."""

    office: Office
    process: Process
    name: str = "chat"

    async def show(self, view: IncidentView, ref: str) -> str:
        fault = await self.office.scheduler.gate(self.process, "chat", CHAT_AWAY, CRASH)
        if fault == CHAT_AWAY:
            raise TransientError("no answer: simulated")
        if fault == CRASH:
            self.process.crash()
            raise asyncio.CancelledError
        ref = ref or f"chat/{view.incident_id}"
        self.office.messages[ref] = view
        self.office.shown_by[ref] = self.process
        return ref


@dataclass
class Tracking:
    """The Tracker port: it looks for what is there, as a real one's connector does."""

    office: Office
    process: Process
    name: str = "tracker"

    async def open(self, draft: TicketDraft, *, may_exist: bool) -> Ticket:
        scheduler = self.office.scheduler
        fault = await scheduler.gate(self.process, "tracker", TRACKER_AWAY, LOST_TICKET, CRASH)
        if fault == TRACKER_AWAY:
            raise TransientError("no answer: simulated")
        made = self.office.tickets.setdefault(draft.key, [])
        if not (may_exist and made):
            made.append(f"OPS-{sum(map(len, self.office.tickets.values())) + 1}")
        if fault == CRASH:
            self.process.crash()
            raise asyncio.CancelledError
        if fault == LOST_TICKET:
            raise OutcomeUnknownError("no answer in time: simulated")
        return Ticket(made[0], f"https://tracker.example/{made[0]}")

    async def close(self) -> None:
        """Nothing is open."""
