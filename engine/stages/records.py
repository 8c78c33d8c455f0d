"""What an incident leaves behind: the postmortem as a file, and one ticket."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from engine.core import events
from engine.core.incident import Incident
from engine.core.journal import Entry
from engine.core.postmortem import postmortem
from engine.core.sla import Sla
from engine.errors import OutcomeUnknownError, PermanentError
from engine.ports.recording import Author, incident_of, record
from engine.ports.rows import Task
from engine.ports.store import Store, Tx
from engine.ports.stories import story_of
from engine.ports.tracker import TicketDraft, Tracker

log = structlog.get_logger(__name__)

LOOK_AGAIN_AFTER = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class RecordsStage:
    """Writes postmortems by `keep` (name, text → path), and opens tickets where a tracker is."""

    store: Store
    keep: Callable[[str, str], str]
    tracker: Tracker | None
    sla: Sla
    author: Callable[[], Author]

    async def write_postmortem(self, task: Task) -> None:
        """Handle a `postmortem` task: render from the journal, keep the file, journal its hash."""
        incident, entries = await self.store.read(lambda tx: _story(tx, task))
        text = await asyncio.to_thread(postmortem, incident, entries, self.sla)
        path = await asyncio.to_thread(self.keep, incident.name, text)
        written = events.PostmortemWritten(
            path=path, sha256=hashlib.sha256(text.encode()).hexdigest()
        )

        def done(tx: Tx) -> None:
            tx.hold_task(task)
            record(tx, incident_of(tx, task), [written], self.author())
            tx.finish_task(task)

        await self.store.write(done)

    async def open_ticket(self, task: Task) -> None:
        """Handle a `ticket` task: one ticket an incident, even when an answer was lost."""
        incident, entries = await self.store.read(lambda tx: _story(tx, task))
        if self.tracker is None or incident.ticket:
            await self.store.write(lambda tx: tx.finish_task(task))
            return
        tracker = self.tracker
        draft = TicketDraft(
            key=incident.id,
            title=f"{incident.name} {incident.severity.name}: {incident.title}",
            body_markdown=await asyncio.to_thread(postmortem, incident, entries, self.sla),
            severity=incident.severity.name,
            service=incident.service,
        )
        try:
            # Whether an earlier execution of this task got as far as asking isn't journaled, so
            # the tracker always looks first: one search a ticket, and never two tickets.
            ticket = await tracker.open(draft, may_exist=True)
        except OutcomeUnknownError as error:
            log.warning("ticket_unknown", tracker=tracker.name, error=str(error))
            await self.store.write(
                lambda tx: tx.release_task(task, tx.now + LOOK_AGAIN_AFTER, failed=True)
            )
            return
        except PermanentError as error:
            log.error("ticket_refused", tracker=tracker.name, error=str(error))
            await self.store.write(lambda tx: tx.finish_task(task))
            return
        opened = events.TicketOpened(tracker=tracker.name, key=ticket.key, url=ticket.url)

        def done(tx: Tx) -> None:
            tx.hold_task(task)
            record(tx, incident_of(tx, task), [opened], self.author())
            tx.finish_task(task)

        await self.store.write(done)


def _story(tx: Tx, task: Task) -> tuple[Incident, Sequence[Entry]]:
    incident = incident_of(tx, task)
    return incident, story_of(tx, incident)
