"""Who is outside: an Alertmanager pair for each host that sends, and people who order."""

import asyncio
from dataclasses import dataclass

from engine.core.alert import Alert, AlertStatus, fingerprint_of
from engine.core.records import encode_alert
from engine.errors import QuellError, TransientError
from engine.stages.commands import CommandStage
from engine.stages.intake import StreamIntake
from tests.doubles.written import WrittenCatalog
from tests.simulation.inline_store import Database, InlineStore
from tests.simulation.invariants import ONCALL, STRANGER, Invariants
from tests.simulation.outside import Log, MemoryStream
from tests.simulation.scheduler import Process, ProcessClock, Scheduler


@dataclass
class Outsiders:
    """Everybody with a mind of their own; `busy` are those who aren't done."""

    scheduler: Scheduler
    database: Database
    log: Log
    catalogs: WrittenCatalog
    invariants: Invariants
    busy: int = 0

    def start(self) -> list[asyncio.Task[None]]:
        """Senders and people, each with a mind of its own."""
        loop, random = asyncio.get_running_loop(), self.scheduler.random
        begun = [loop.create_task(self._sender(host)) for host in ("gpu-07", "gpu-08")]
        begun += [loop.create_task(self._person()) for _ in range(random.randint(2, 4))]
        self.busy = len(begun)
        for task in begun:
            task.add_done_callback(self._gone)
        return begun

    def _gone(self, task: asyncio.Task[None]) -> None:
        self.busy -= 1
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
            await clock.sleep(random.uniform(0, 60))
            name = "Down" if number == 0 or random.random() < 0.7 else "Odd"
            status: AlertStatus = "resolved" if number and random.random() < 0.3 else "firing"
            alert = self._alert(name, host, status)
            for _ in range(2):
                await self._send(intake, clock, alert)
            scheduler.counts["alert by both of a pair"] += 1
        if random.random() < 0.5:
            await clock.sleep(random.uniform(60, 200))
            await self._send(intake, clock, self._alert("Down", host, "resolved"))

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
        labels = {"alertname": name, "instance": f"{host}:9100"}
        now = self.scheduler.at
        return Alert(
            fingerprint=fingerprint_of("alertmanager", labels),
            source="alertmanager",
            name=name,
            status=status,
            labels=labels,
            annotations={},
            starts_at=now,
            ends_at=now if status == "resolved" else None,
            received_at=now,
        )

    async def _person(self) -> None:
        """Approves mostly; also rejects, cancels, stops and resumes, allowed or not."""
        scheduler = self.scheduler
        process = Process("person", mortal=False)
        clock, random = ProcessClock(scheduler, process), scheduler.random
        store = InlineStore(self.database, process)
        commands = CommandStage(store, clock, self.catalogs)
        while scheduler.chaos:
            await clock.sleep(random.uniform(1, 45))
            what = random.choices(
                ("approve", "reject", "cancel", "stop"), (0.88, 0.04, 0.05, 0.03)
            )[0]
            try:
                if await self._order(commands, store, what):
                    scheduler.counts[f"person: {what}"] += 1
                    scheduler.tell(f"person: {what}")
            except QuellError as error:
                scheduler.tell(f"person: {what} refused: {error}")

    async def _order(self, commands: CommandStage, store: InlineStore, what: str) -> bool:
        random = self.scheduler.random
        by = ONCALL if random.random() < 0.85 else STRANGER
        if what == "stop":
            await commands.stop("all", by=ONCALL, reason="a drill")
            await ProcessClock(self.scheduler, store.process).sleep(random.uniform(1, 20))
            await self._resume(commands)
            return True
        runs = await store.read(lambda tx: tx.active_runs())
        if not runs:
            return False
        run = random.choice(list(runs))
        if what == "cancel":
            await commands.cancel_run(run.id, by=by, reason="not now")
            return True
        asked = await store.read(lambda tx: tx.find_approvals(run.id))
        if not asked or asked[0].state != "pending":
            return False
        shown = asked[0].plan_hash if random.random() < 0.9 else "0" * 64
        decision = "approved" if what == "approve" else "rejected"
        decided = await commands.decide(
            asked[0].id,
            decision,  # type: ignore[arg-type]  # one of the two
            plan_hash=shown,
            by=by,
        )
        if decided.accepted and (shown != asked[0].plan_hash or by is STRANGER):
            self.scheduler.violate(
                f"invariant 6: {by.actor} decided on a plan not shown, or may not"
            )
        return decided.accepted

    async def _resume(self, commands: CommandStage) -> None:
        while True:
            try:
                await commands.resume("all", by=ONCALL)
            except TransientError:
                continue
            except QuellError as error:
                # The answer of an earlier try was lost, or another person was faster.
                self.scheduler.tell(f"person: resume: {error}")
            return
