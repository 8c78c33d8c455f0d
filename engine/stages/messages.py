"""Telling people: one message an incident, brought up to date from the journal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from engine.core import events
from engine.core.incident_view import view
from engine.core.journal import Entry
from engine.errors import PermanentError, TransientError
from engine.ports.notifier import Notifier
from engine.ports.recording import Author, incident_of, record, story_of
from engine.ports.rows import Task
from engine.ports.store import Store, Tx

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MessageStage:
    """Shows incidents through every notifier; a message that never goes through is logged."""

    store: Store
    notifiers: Mapping[str, Notifier]
    author: Callable[[], Author]

    async def tell(self, task: Task) -> None:
        """Handle a `message` task: post or update where something new is to be told.

        Raises TransientError where one of them is away, so that the task is done again.
        """
        incident, entries = await self.store.read(lambda tx: story_of(tx, task))
        shown = view(incident, entries)
        sent: list[events.Event] = []
        away: TransientError | None = None
        for name, notifier in self.notifiers.items():
            last = _last_sent(entries, name)
            try:
                ref = await notifier.show(shown, last.ref if last else "")
            except PermanentError as error:
                log.error("message_refused", notifier=name, error=str(error))
                continue
            except TransientError as error:
                away = error  # it is asked again, after what the others showed is journaled
                continue
            if last is None:
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


def _last_sent(entries: list[Entry], notifier: str) -> events.MessageSent | None:
    for entry in reversed(entries):
        event = entry.event() if entry.kind == events.MessageSent.KIND else None
        if isinstance(event, events.MessageSent) and event.notifier == notifier:
            return event
    return None
