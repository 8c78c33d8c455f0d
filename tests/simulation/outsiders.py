"""Who is outside: an Alertmanager pair for each host, a forger, a vandal, and people."""

import asyncio
from dataclasses import dataclass

from engine.core.alert import Alert, AlertStatus, fingerprint_of
from engine.core.records import encode_alert
from engine.errors import TransientError
from engine.ports.stream import Message
from engine.stages.intake import StreamIntake
from tests.doubles.written import WrittenCatalog
from tests.simulation.inline_store import Database, InlineStore
from tests.simulation.invariants import Invariants
from tests.simulation.orders import People
from tests.simulation.outside import Log, MemoryStream
from tests.simulation.scenes import Scene
from tests.simulation.scheduler import Process, ProcessClock, Scheduler
from tests.simulation.secrets import annotations
from tests.simulation.sizes import HUGE_LENGTH, POISON, huge_annotations
from tests.simulation.source import FORGED, Truth
from tests.simulation.written import ALERTS, GRAVE, HOSTS, alert_labels


@dataclass
class Outsiders:
    """Everybody with a mind of their own; `busy` are those who aren't done.

    The janitor never is.
    """

    scheduler: Scheduler
    database: Database
    log: Log
    truth: Truth
    catalogs: WrittenCatalog
    scene: Scene
    invariants: Invariants
    busy: int = 0

    def start(self) -> list[asyncio.Task[None]]:
        """Senders and people, each with a mind of its own."""
        loop, random = asyncio.get_running_loop(), self.scheduler.random
        begun = [loop.create_task(self._sender(host)) for host in HOSTS]
        people = People(self.scheduler, self.database, self.catalogs, self.scene)
        begun += [loop.create_task(people.person()) for _ in range(random.randint(2, 4))]
        if random.random() < 0.3:
            begun.append(loop.create_task(self._forger()))
        if random.random() < 0.3:
            begun.append(loop.create_task(self._vandal()))
        self.busy = len(begun)
        for task in begun:
            task.add_done_callback(self._done)
        begun.append(loop.create_task(people.janitor()))
        for task in begun:
            task.add_done_callback(self._gone)
        return begun

    def _done(self, _: asyncio.Task[None]) -> None:
        self.busy -= 1

    def _gone(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.scheduler.violate(f"an outsider met {task.exception()!r}")

    async def _sender(self, host: str) -> None:
        """An Alertmanager pair: every notice comes twice, and again until it is acknowledged."""
        scheduler = self.scheduler
        process = Process("sender", mortal=False)
        clock, random = ProcessClock(scheduler, process), scheduler.random
        store = InlineStore(self.database, process)
        intake = StreamIntake(store, MemoryStream(self.log, process), clock)
        for number in range(random.randint(1, 3)):
            await clock.sleep(
                random.uniform(0, self.scene.apart_s if number and self.scene.busy else 60)
            )
            name = random.choices(ALERTS, (0.6, 0.3, 0.1))[0]
            if self.scene.busy:
                name = self.scene.fire[number % len(self.scene.fire)]
            status: AlertStatus = "resolved" if number and random.random() < 0.3 else "firing"
            alert = self._alert(name, host, status)
            self.truth.tell(alert)
            for _ in range(2):
                await self._send(intake, clock, alert)
            scheduler.counts["alert by both of a pair"] += 1
        # Where it is busy, nothing waits for ever for what still fires.
        if self.scene.busy or random.random() < 0.5:
            await clock.sleep(random.uniform(60, 200))
            for name in self.scene.clear if self.scene.busy else ("Down",):
                resolved = self._alert(name, host, "resolved")
                self.truth.tell(resolved)
                await self._send(intake, clock, resolved)

    async def _forger(self) -> None:
        """Somebody who got hold of the credentials and would like to see machines restart."""
        scheduler = self.scheduler
        process = Process("forger", mortal=False)
        clock, random = ProcessClock(scheduler, process), scheduler.random
        store = InlineStore(self.database, process)
        intake = StreamIntake(store, MemoryStream(self.log, process), clock)
        await clock.sleep(random.uniform(0, 200))
        host, name = random.choice(HOSTS), random.choice(("Down", "Slow"))
        await self._send(intake, clock, self._alert(name, host, "firing"))
        scheduler.counts[FORGED] += 1

    async def _vandal(self) -> None:
        """Another program that writes to the stream what no sender would."""
        scheduler = self.scheduler
        clock = ProcessClock(scheduler, Process("vandal", mortal=False))
        for number in range(scheduler.random.randint(1, 4)):
            await clock.sleep(scheduler.random.uniform(0, 60))
            body = f"record {number}".encode() + bytes(HUGE_LENGTH)
            self.log.append([Message(scheduler.random.choice(HOSTS), body)])
            scheduler.fault(POISON, f"number {number}")

    async def _send(self, intake: StreamIntake, clock: ProcessClock, alert: Alert) -> None:
        while True:
            try:
                await intake.accept("alertmanager", [alert], 0)
            except TransientError:
                self.scheduler.counts["alert sent again"] += 1
                await clock.sleep(self.scheduler.random.uniform(1, 5))
            else:
                self.invariants.acknowledged(alert.partition_key, encode_alert(alert))
                return

    def _alert(self, name: str, host: str, status: AlertStatus) -> Alert:
        labels = alert_labels(name, host)
        if name == "Slow" and self.scene.gets_worse and self.scheduler.random.random() < 0.4:
            labels |= GRAVE
        now = self.scheduler.at
        return Alert(
            fingerprint=fingerprint_of("alertmanager", labels),
            source="alertmanager",
            name=name,
            status=status,
            labels=labels,
            annotations={**annotations(self.scheduler), **huge_annotations(self.scheduler)},
            starts_at=now,
            ends_at=now if status == "resolved" else None,
            received_at=now,
        )
