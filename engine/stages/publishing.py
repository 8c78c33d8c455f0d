"""The outbox: each change of an incident is told to those who follow incidents elsewhere."""

from dataclasses import dataclass, replace

import structlog

from engine.core.incident import chain_of
from engine.core.incident_state import IncidentState, encode_state, state_of
from engine.errors import PermanentError
from engine.ports.metrics import Metrics
from engine.ports.publisher import Publisher
from engine.ports.recording import incident_of
from engine.ports.rows import Task
from engine.ports.store import Store, Tx
from engine.ports.stream import Message

log = structlog.get_logger(__name__)

# Each waits for one acknowledgement; together they fill a batch or two.
PUBLISHED_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class PublishStage:
    """At least once, and in the order of revisions but for a late repetition.

    Without a publisher the tasks that another configuration left are done with.
    """

    store: Store
    publisher: Publisher | None
    metrics: Metrics

    async def publish(self, task: Task) -> None:
        """Handle a `publish` task: tell the state of now, whatever changes it came from.

        Raises TransientError where the topic can't be had, so that the task is done again.
        """
        if self.publisher is None:
            await self.store.write(lambda tx: tx.finish_task(task))
            return
        state = await self.store.read(lambda tx: _state(tx, task))
        await self._tell(self.publisher, state)
        await self.store.write(lambda tx: tx.finish_task(task))

    def publish_again(self, tx: Tx, task: Task) -> None:
        """Have it told once more, where the worker of this task had lost its lease.

        Held up, it may have told what was old behind what another one had told meanwhile.
        """
        tx.put_task(replace(task, not_before=tx.now))

    async def _tell(self, publisher: Publisher, state: IncidentState) -> None:
        try:
            await publisher.publish(Message(state.id, encode_state(state)))
        except PermanentError as error:
            self.metrics.published.labels(outcome="refused").inc()
            log.error(
                "publish_refused",
                topic=publisher.name,
                revision=state.revision,
                error=str(error),
            )
        else:
            self.metrics.published.labels(outcome="published").inc()


def _state(tx: Tx, task: Task) -> IncidentState:
    incident = incident_of(tx, task)
    revision, _ = tx.head(chain_of(incident.id))
    return state_of(incident, revision)
