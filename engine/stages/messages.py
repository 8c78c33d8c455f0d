"""Telling people: one message an incident, brought up to date from the journal."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from engine.core import events
from engine.core.incident import Incident, chain_of
from engine.core.incident_view import view
from engine.core.journal import Entry
from engine.errors import PermanentError, TransientError
from engine.ports.notifier import Notifier
from engine.ports.recording import Author, incident_of, record
from engine.ports.rows import Task
from engine.ports.silencing import silenced
from engine.ports.store import Store, Tx
from engine.ports.stories import story_of

log = structlog.get_logger(__name__)

MOST_NOTIFIERS = 100


@dataclass(frozen=True, slots=True)
class MessageStage:
    """Shows incidents through every notifier; a message that never goes through is logged.

    While all of an incident that fires is silenced, nobody is told.
    """

    store: Store
    notifiers: Mapping[str, Notifier]
    author: Callable[[], Author]

    async def tell(self, task: Task) -> None:
        """Handle a `message` task: post or update where something new is to be told.

        Where there is no notifier, nothing is read for it: a storm has one such task after another.
        Raises TransientError where one of them is away, so that the task is done again.
        """
        if not self.notifiers:
            await self.store.write(lambda tx: tx.finish_task(task))
            return
        told = await self.store.read(lambda tx: _told(tx, task))
        if isinstance(told, datetime):
            await self.store.write(lambda tx: tx.release_task(task, told))
            return
        incident, entries, earlier = told
        # In a thread, because a long story takes longer than other work may wait.
        shown = await asyncio.to_thread(view, incident, entries)
        sent: list[events.Event] = []
        away: TransientError | None = None
        for name, notifier in self.notifiers.items():
            try:
                ref = await notifier.show(shown, earlier.get(name, ""))
            except PermanentError as error:
                log.error("message_refused", notifier=name, error=str(error))
                continue
            except TransientError as error:
                away = error  # it is asked again, after what the others showed is journaled
                continue
            if name not in earlier:
                sent.append(events.MessageSent(notifier=name, ref=ref, revision=shown.revision))

        def done(tx: Tx) -> None:
            tx.hold_task(task)
            record(tx, incident_of(tx, task), sent, self.author())
            if away is None:
                tx.finish_task(task)

        await self.store.write(done)
        if away is not None:
            raise away

    def tell_again(self, tx: Tx, task: Task) -> None:
        """Have it shown once more, where the worker of this task had lost its lease.

        Held up, it may have shown what was old, over what another one had shown meanwhile.
        """
        tx.put_task(replace(task, not_before=tx.now))


def _told(tx: Tx, task: Task) -> tuple[Incident, Sequence[Entry], Mapping[str, str]] | datetime:
    """What is to be told, and the message that each notifier has of it already.

    While all of it is silenced: when people are told what there is then.
    """
    incident = incident_of(tx, task)
    by = silenced(tx, incident)
    if by is not None and by.until is not None:
        return by.until
    # One entry a notifier.
    sent = tx.page(chain_of(incident.id), kind=events.MessageSent.KIND, limit=MOST_NOTIFIERS)
    told = [event for entry in sent if isinstance(event := entry.event(), events.MessageSent)]
    return incident, story_of(tx, incident), {event.notifier: event.ref for event in told}
