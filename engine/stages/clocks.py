"""The clocks of an incident: a promise that isn't kept is journaled, and people are told."""

from collections.abc import Callable
from dataclasses import dataclass

from engine.core import events
from engine.core.sla import Sla, clocks_of
from engine.ports.recording import Author, incident_of, record
from engine.ports.rows import Task
from engine.ports.store import Store, Tx


@dataclass(frozen=True, slots=True)
class ClockStage:
    """Handles the `clock` task of an incident until it is resolved or all of them have run out."""

    store: Store
    sla: Sla
    author: Callable[[], Author]

    async def watch(self, task: Task) -> None:
        """Note what ran out, and wait for what runs out next."""

        def work(tx: Tx) -> None:
            tx.hold_task(task)
            incident = incident_of(tx, task)
            if incident.status != "open":
                tx.finish_task(task)  # one that is reopened has its clocks set again
                return
            running = [
                clock
                for clock in clocks_of(incident, self.sla)
                if clock.met_at is None and clock.name not in incident.missed
            ]
            missed = [clock for clock in running if clock.due_at <= tx.now]
            story = [
                events.SlaMissed(
                    clock=clock.name,
                    severity=incident.severity.name,
                    within_s=clock.within.total_seconds(),
                )
                for clock in missed
            ]
            record(tx, incident, story, self.author())
            left = [clock.due_at for clock in running if clock not in missed]
            if left:
                tx.release_task(task, min(left))
            else:
                tx.finish_task(task)

        await self.store.write(work)
