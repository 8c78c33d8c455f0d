"""People and what they order, each through a gateway that may crash before it answers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from engine.errors import QuellError
from engine.ports.commands import By
from engine.ports.locking import all_locks
from engine.stages.commands import CommandStage
from tests.doubles.written import WrittenCatalog
from tests.simulation.inline_store import Database, InlineStore
from tests.simulation.invariants import ONCALL, STRANGER
from tests.simulation.scheduler import Process, ProcessClock, Scheduler
from tests.simulation.written import HOSTS, PLAYBOOKS

# More would only make a history longer.
MOST_RUNS_BY_HAND = 2

Order = Callable[[CommandStage, InlineStore], Awaitable[bool]]


@dataclass
class People:
    """Everybody who orders something."""

    scheduler: Scheduler
    database: Database
    catalogs: WrittenCatalog
    runs_by_hand: int = 0

    async def person(self) -> None:
        """Approves mostly; also rejects, cancels, stops and resumes, allowed or not."""
        scheduler, random = self.scheduler, self.scheduler.random
        clock = ProcessClock(scheduler, Process("person", mortal=False))
        orders: dict[str, Order] = {
            "approve": self._approve,
            "reject": self._reject,
            "cancel": self._cancel,
            "run": self._run,
        }
        while scheduler.chaos:
            await clock.sleep(random.uniform(1, 45))
            what = random.choices(
                ("approve", "reject", "cancel", "stop", "run"), (0.86, 0.03, 0.03, 0.02, 0.06)
            )[0]
            if what == "stop":
                await self._stop(clock)
            elif await self._ordered(what, orders[what]):
                scheduler.counts[f"person: {what}"] += 1

    async def janitor(self) -> None:
        """Looks from time to time at what ended runs keep locked, and lets it go."""
        clock = ProcessClock(self.scheduler, Process("janitor", mortal=False))
        while self.scheduler.chaos or self._kept():
            await clock.sleep(self.scheduler.random.uniform(10, 60))
            for target in self._kept():
                if await self._ordered("release", _releasing(target)):
                    self.scheduler.counts["person: release"] += 1

    async def _ordered(self, what: str, order: Order) -> bool:
        """Whether the order was obeyed; one without an answer, or refused, isn't known to be."""
        process = Process("gateway")
        store = InlineStore(self.database, process)
        commands = CommandStage(store, ProcessClock(self.scheduler, process), self.catalogs)
        ordering = asyncio.get_running_loop().create_task(_done(order(commands, store)))
        process.task = ordering
        try:
            obeyed = await ordering
        except QuellError as error:
            self.scheduler.tell(f"person: {what} refused: {error}")
            return False
        except asyncio.CancelledError:
            if not process.dead:
                raise
            self.scheduler.tell(f"person: {what} got no answer")
            return False
        if obeyed:
            self.scheduler.tell(f"person: {what}")
        return obeyed

    async def _approve(self, commands: CommandStage, store: InlineStore) -> bool:
        return await self._decide(commands, store, "approved")

    async def _reject(self, commands: CommandStage, store: InlineStore) -> bool:
        return await self._decide(commands, store, "rejected")

    async def _decide(self, commands: CommandStage, store: InlineStore, decision: str) -> bool:
        random = self.scheduler.random
        by = self._somebody()
        run = await self._some_run(store)
        asked = await store.read(lambda tx: tx.find_approvals(run)) if run else []
        if not asked or asked[0].state != "pending":
            return False
        shown = asked[0].plan_hash if random.random() < 0.9 else "0" * 64
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

    async def _cancel(self, commands: CommandStage, store: InlineStore) -> bool:
        run = await self._some_run(store)
        if run:
            await commands.cancel_run(run, by=self._somebody(), reason="not now")
        return bool(run)

    async def _run(self, commands: CommandStage, _: InlineStore) -> bool:
        random = self.scheduler.random
        if self.runs_by_hand == MOST_RUNS_BY_HAND:
            return False
        self.runs_by_hand += 1
        playbook, host = random.choice(PLAYBOOKS), random.choice(HOSTS)
        await commands.run_playbook(playbook, {"host": host}, by=ONCALL)
        return True

    async def _stop(self, clock: ProcessClock) -> None:
        async def stop(commands: CommandStage, _: InlineStore) -> bool:
            return bool(await commands.stop("all", by=ONCALL, reason="a drill"))

        async def resume(commands: CommandStage, _: InlineStore) -> bool:
            return not await commands.resume("all", by=ONCALL)

        if await self._ordered("stop", stop):
            self.scheduler.counts["person: stop"] += 1
        await clock.sleep(self.scheduler.random.uniform(1, 20))
        # Also where the order got no answer: it may have been obeyed.
        while self.database.rows("SELECT * FROM stops"):
            await self._ordered("resume", resume)

    def _somebody(self) -> By:
        return ONCALL if self.scheduler.random.random() < 0.85 else STRANGER

    async def _some_run(self, store: InlineStore) -> str:
        runs = await store.read(lambda tx: tx.active_runs())
        return self.scheduler.random.choice(list(runs)).id if runs else ""

    def _kept(self) -> list[str]:
        locks = self.database.execute(all_locks)[0]
        return [lock.held.target for lock in locks if lock.kept]


async def _done(order: Awaitable[bool]) -> bool:
    return await order


def _releasing(target: str) -> Order:
    async def release(commands: CommandStage, _: InlineStore) -> bool:
        return bool(await commands.release_lock(target, by=ONCALL, reason="looked at it"))

    return release
